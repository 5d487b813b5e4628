/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The file of the store, and what is where in it:
 *
 *	struct store_header
 *	struct session_record [header.records], from the next SESSION_RECORD_SIZE on
 *	logs, OUTPUT_LOG_MAX bytes for each output of each record: all holes at first
 *
 * It has its full size from the start on, and is sealed: a page that is not there is one that
 * nobody has written to. Only the records are mapped.
 */
#ifndef KRINGD_STORE_FILE_H
#define KRINGD_STORE_FILE_H

#include "session_record.h"

/**
 * struct store_header - the beginning of the file
 * @magic: STORE_MAGIC, stored last
 * @version: STORE_VERSION
 * @record_size: bytes of each
 * @records: how many
 * @reserved: 0
 * @last: largest number of a session
 */
struct store_header {
	uint64_t magic;
	uint32_t version;
	uint32_t record_size;
	uint32_t records;
	uint32_t reserved;
	uint64_t last;
};

_Static_assert(sizeof(struct store_header) <= SESSION_RECORD_SIZE, "store_header");

/* Bytes of header and records. */
uint64_t store_file_table(uint64_t records);

/* Where the logs begin. */
uint64_t store_file_logs(uint64_t records);

/* A new one, of zeros. Its descriptor, or a negative errno. */
int store_file_create(uint64_t records);

/* It is empty, and to be used. */
void store_file_begin(struct store_header *header, uint32_t records);

/* Reads the header. 0, or -EPROTO: the file is not of this version; that was logged. */
int store_file_check(int file, struct store_header *header);

#endif /* KRINGD_STORE_FILE_H */
