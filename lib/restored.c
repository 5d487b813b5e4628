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

bool kring_restored_known(const struct kring_hello *hello, uint64_t restored,
			  const uint8_t *uuid)
{
	if (uuid && (!hello->has_uuid || memcmp(hello->uuid, uuid, sizeof(hello->uuid))))
		return false;
	return restored <= hello->restored;
}

void restored_expect(struct kring_hello *hello, const Kring__Hello *said)
{
	hello->restoring = both_know(hello, said) &&
			   !kring_restored_known(hello, said->restored, said->uuid.data);
	if (!hello->restoring)
		hello->known_generation = said->generation;
}

int restored_say(struct kring_hello *hello, struct kring_mux *mux, const Kring__Hello *said)
{
	Kring__Restored restored = KRING__RESTORED__INIT;
	struct timespec now;
	bool forked;

	if (!both_know(hello, said))
		return 0;
	forked = memcmp(hello->uuid, said->uuid.data, sizeof(hello->uuid));
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

void kring_restored_dealt(struct kring_hello *hello, uint64_t generation, uint64_t restored,
			  const uint8_t *uuid)
{
	hello->restored = restored;
	hello->restoring = false;
	hello->known_generation = generation;
	if (!uuid)
		return;
	hello->has_uuid = true;
	memcpy(hello->uuid, uuid, sizeof(hello->uuid));
}

int kring_restored_answer(struct kring_mux *mux, uint64_t old_generation,
			  uint64_t new_generation)
{
	Kring__Restored answer = KRING__RESTORED__INIT;

	answer.old_generation = old_generation;
	answer.new_generation = new_generation;
	return restored_pack_say(mux, &answer);
}

void kring_restored_answered(struct kring_hello *hello, struct kring_mux *mux)
{
	hello->restoring = false;
	kring_mux_hold(mux, false);
}
