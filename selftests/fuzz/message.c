// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Decoding the messages that a peer sends: any bytes, any type.
 *
 * Sources: libkring
 */
#include <message.h>

#include "fuzz.h"

static const ProtobufCMessageDescriptor *const types[] = {
	&kring__hello__descriptor, &kring__open__descriptor, &kring__accept__descriptor,
	&kring__close__descriptor, &kring__error__descriptor, &kring__exec__descriptor,
	&kring__exec_control__descriptor, &kring__exec_exit__descriptor,
	&kring__session__descriptor, &kring__attach__descriptor, &kring__file_info__descriptor,
	&kring__put__descriptor, &kring__extent__descriptor, &kring__connect__descriptor,
	&kring__info__descriptor, &kring__resume__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const ProtobufCMessageDescriptor *type = types[input_u8(&in) % 16];
	void *message = kring_unpack(type, in.at, in.left);
	void *bytes;
	size_t len;

	if (!message)
		return 0;
	/* All of it is there to be read. */
	bytes = kring_pack(message, &len);
	require(bytes);
	free(bytes);
	kring_unpack_free(message);
	return 0;
}
