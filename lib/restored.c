// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * RESTORED: the guest's memory is from another moment, or another child has the same.
 *
 * The guest cannot know by itself: its memory says what it has always said. The region's
 * header does, which is the host's; the guest's Hello has what it knows of that. So whichever
 * host comes next sees the difference, until the guest has dealt with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "restored.h"

static int restored_pack_say(struct kring_mux *mux, const Kring__Restored *restored)
{
	size_t len;
	void *bytes = kring_pack(&restored->base, &len);
	int code = -ENOMEM;

	if (bytes)
		code = kring_mux_restored(mux, restored->new_generation, bytes, len);
	free(bytes);
	return code;
}

/* Only between two that know regions; a new process has nothing to be told of. */
static bool both_know(const struct kring_hello *hello, const Kring__Hello *said)
{
	return hello->has_uuid && said->uuid.len == sizeof(hello->uuid);
}

static bool another_region(const struct kring_hello *hello, const Kring__Hello *said)
{
	return memcmp(hello->uuid, said->uuid.data, sizeof(hello->uuid));
}

void restored_expect(struct kring_hello *hello, const Kring__Hello *said)
{
	hello->restoring = both_know(hello, said) && (said->restored > hello->restored ||
						      another_region(hello, said));
	if (!hello->restoring)
		hello->known_generation = hello->generation;
}

int restored_say(struct kring_hello *hello, struct kring_mux *mux, const Kring__Hello *said)
{
	Kring__Restored restored = KRING__RESTORED__INIT;
	struct timespec now;
	bool forked;

	if (!both_know(hello, said))
		return 0;
	forked = another_region(hello, said);
	if (!forked && hello->restored <= said->restored)
		return 0;

	clock_gettime(CLOCK_REALTIME, &now);
	restored.new_generation = hello->generation;
	restored.time = now.tv_sec * 1000000000ll + now.tv_nsec;
	restored.forked = forked;
	restored.restored = hello->restored;
	restored.uuid.data = hello->uuid;
	restored.uuid.len = sizeof(hello->uuid);
	hello->restoring = true;
	return restored_pack_say(mux, &restored);
}

int kring_restored_answer(struct kring_hello *hello, struct kring_mux *mux,
			  const Kring__Restored *restored, uint64_t old_generation)
{
	Kring__Restored answer = KRING__RESTORED__INIT;

	hello->restored = restored->restored;
	hello->restoring = false;
	hello->known_generation = restored->new_generation;
	if (restored->uuid.len == sizeof(hello->uuid)) {
		hello->has_uuid = true;
		memcpy(hello->uuid, restored->uuid.data, sizeof(hello->uuid));
	}
	answer.old_generation = old_generation;
	answer.new_generation = restored->new_generation;
	return restored_pack_say(mux, &answer);
}

void kring_restored_answered(struct kring_hello *hello, struct kring_mux *mux)
{
	hello->restoring = false;
	kring_mux_hold(mux, false);
}
