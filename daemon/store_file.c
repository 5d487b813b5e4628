// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The file of the store.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kring/barrier.h>

#include "log.h"
#include "store_file.h"

#define STORE_MAGIC	0x53534553474e524bull	/* "KRNGSESS" */

/* To be changed with struct session_record, or with what any of its members means. */
#define STORE_VERSION	1

#define LOGS_ALIGN	65536

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008U
#endif

uint64_t store_file_table(uint64_t records)
{
	return (records + 1) * SESSION_RECORD_SIZE;
}

uint64_t store_file_logs(uint64_t records)
{
	return (store_file_table(records) + LOGS_ALIGN - 1) & ~(uint64_t)(LOGS_ALIGN - 1);
}

static uint64_t file_size(uint64_t records)
{
	return store_file_logs(records) + records * 2 * OUTPUT_LOG_MAX;
}

int store_file_create(uint64_t records)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("kring-sessions", flags | MFD_NOEXEC_SEAL);

	/* Before 6.3. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("kring-sessions", flags);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, file_size(records)) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		close(fd);
		return -errno;
	}
	return fd;
}

void store_file_begin(struct store_header *header, uint32_t records)
{
	header->version = STORE_VERSION;
	header->record_size = SESSION_RECORD_SIZE;
	header->records = records;
	kring_store_release(&header->magic, STORE_MAGIC);
}

int store_file_check(int file, struct store_header *header)
{
	struct stat st;

	if (pread(file, header, sizeof(*header), 0) != sizeof(*header) || fstat(file, &st) ||
	    header->magic != STORE_MAGIC) {
		log_error("sessions of the agent before: they are in no form that is known here");
		return -EPROTO;
	}
	if (header->version != STORE_VERSION || header->record_size != SESSION_RECORD_SIZE) {
		log_error("sessions of the agent before: they are of version %" PRIu32
			  ", and only %d is known here", header->version, STORE_VERSION);
		return -EPROTO;
	}
	if (!header->records || header->records > 1 << 24 ||
	    (uint64_t)st.st_size != file_size(header->records)) {
		log_error("sessions of the agent before: %" PRIu32 " records, in %lld bytes",
			  header->records, (long long)st.st_size);
		return -EPROTO;
	}
	return 0;
}
