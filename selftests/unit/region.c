// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The region's header: each field, each reason to refuse it; making, looking, truncating.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kring.h>

#include <tap.h>

#include "scratch.h"

#define PAGE	4096ULL

static char dir[SCRATCH_LEN];

/* As small as can be: a header and two rings of one page of data. */
static struct kring_header header_good(void)
{
	struct kring_header h = {
		.magic = cpu_to_le32(KRING_MAGIC),
		.version = cpu_to_le32(1),
		.state = cpu_to_le32(KRING_STATE_READY),
		.granule = cpu_to_le32(PAGE),
		.region_size = cpu_to_le64(16 * PAGE),
		.generation = cpu_to_le64(1),
		.name = "default",
		.h2g = { cpu_to_le64(PAGE), cpu_to_le64(PAGE) },
		.g2h = { cpu_to_le64(4 * PAGE), cpu_to_le64(4 * PAGE) },
	};
	return h;
}

static int check(const struct kring_header *h, uint64_t size, struct kring_layout *l,
		 struct kring_fault *f)
{
	union kring_any_header any = { .native = *h };

	return kring_header_check(&any, size, l, f);
}

enum field {
	MAGIC, VERSION, STATE, GRANULE, FEATURES, REGION_SIZE, H2G_OFFSET, H2G_SIZE, G2H_OFFSET,
	G2H_SIZE,
};

static void header_set(struct kring_header *h, enum field field, uint64_t v)
{
	switch (field) {
	case MAGIC:
		h->magic = cpu_to_le32(v);
		break;
	case VERSION:
		h->version = cpu_to_le32(v);
		break;
	case STATE:
		h->state = cpu_to_le32(v);
		break;
	case GRANULE:
		h->granule = cpu_to_le32(v);
		break;
	case FEATURES:
		h->features = cpu_to_le64(v);
		break;
	case REGION_SIZE:
		h->region_size = cpu_to_le64(v);
		break;
	case H2G_OFFSET:
		h->h2g.offset = cpu_to_le64(v);
		break;
	case H2G_SIZE:
		h->h2g.size = cpu_to_le64(v);
		break;
	case G2H_OFFSET:
		h->g2h.offset = cpu_to_le64(v);
		break;
	case G2H_SIZE:
		h->g2h.size = cpu_to_le64(v);
		break;
	}
}

static void test_check(void)
{
	static const struct {
		enum field field;
		uint64_t value;
		int code;
		const char *name;
		const char *why;
	} cases[] = {
		{ MAGIC, 0, -ENODEV, "magic", "not a kring region" },
		{ MAGIC, 0x4b524e47, -ENODEV, "magic", "not a kring region" },
		{ VERSION, 0, -EPROTONOSUPPORT, "version", "there never was one" },
		{ VERSION, 2, -EPROTONOSUPPORT, "version", "newer" },
		{ VERSION, UINT32_MAX, -EPROTONOSUPPORT, "version", "newer" },
		{ STATE, 0, -EAGAIN, "state", "not ready" },
		{ STATE, 2, -EAGAIN, "state", "not ready" },
		{ FEATURES, 1ULL << 32, -EPROTONOSUPPORT, "features", "mandatory" },
		{ FEATURES, 1ULL << 63, -EPROTONOSUPPORT, "features", "mandatory" },
		{ FEATURES, UINT32_MAX, 0, NULL, NULL },
		{ GRANULE, 0, -EINVAL, "granule", "not 4096, 16384 or 65536" },
		{ GRANULE, 4095, -EINVAL, "granule", "not 4096, 16384 or 65536" },
		{ GRANULE, 8192, -EINVAL, "granule", "not 4096, 16384 or 65536" },
		{ GRANULE, 1U << 31, -EINVAL, "granule", "not 4096, 16384 or 65536" },
		{ REGION_SIZE, 16 * PAGE + 1, -EINVAL, "region_size", "truncated" },
		{ REGION_SIZE, UINT64_MAX, -EINVAL, "region_size", "truncated" },
		{ REGION_SIZE, 0, -EINVAL, "region_size", "too small for a header and two" },
		{ REGION_SIZE, 7 * PAGE - 1, -EINVAL, "region_size", "too small for a header" },
		{ H2G_SIZE, 0, -EINVAL, "h2g.size", "not a power of two" },
		{ H2G_SIZE, 12345, -EINVAL, "h2g.size", "not a power of two" },
		{ H2G_SIZE, UINT64_MAX, -EINVAL, "h2g.size", "not a power of two" },
		{ H2G_SIZE, 2048, -EINVAL, "h2g.size", "less than the granule" },
		{ H2G_SIZE, 1ULL << 31, -EINVAL, "h2g.size", "more than 1 GiB" },
		{ H2G_SIZE, (1ULL << 32) + PAGE, -EINVAL, "h2g.size", "not a power of two" },
		{ H2G_SIZE, 1ULL << 63, -EINVAL, "h2g.size", "more than 1 GiB" },
		{ H2G_SIZE, 16 * PAGE, -EINVAL, "h2g.offset", "ends outside" },
		{ H2G_SIZE, 8 * PAGE, -EINVAL, "g2h.offset", "overlap" },
		{ H2G_OFFSET, 0, -EINVAL, "h2g.offset", "inside the header" },
		{ H2G_OFFSET, PAGE + 8, -EINVAL, "h2g.offset", "not a multiple of the granule" },
		{ H2G_OFFSET, 14 * PAGE, -EINVAL, "h2g.offset", "ends outside the region" },
		{ H2G_OFFSET, 17 * PAGE, -EINVAL, "h2g.offset", "ends outside the region" },
		{ H2G_OFFSET, -PAGE, -EINVAL, "h2g.offset", "ends outside the region" },
		{ H2G_OFFSET, 2 * PAGE, -EINVAL, "g2h.offset", "overlap" },
		{ H2G_OFFSET, 9 * PAGE, -EINVAL, "g2h.offset", "overlap" },
		{ H2G_OFFSET, 10 * PAGE, 0, NULL, NULL },
		{ G2H_SIZE, 0, -EINVAL, "g2h.size", "not a power of two" },
		{ G2H_SIZE, 3 * PAGE, -EINVAL, "g2h.size", "not a power of two" },
		{ G2H_SIZE, 1, -EINVAL, "g2h.size", "less than the granule" },
		{ G2H_SIZE, 1ULL << 40, -EINVAL, "g2h.size", "more than 1 GiB" },
		{ G2H_SIZE, 8 * PAGE, 0, NULL, NULL },
		{ G2H_SIZE, 16 * PAGE, -EINVAL, "g2h.offset", "ends outside the region" },
		{ G2H_OFFSET, 0, -EINVAL, "g2h.offset", "inside the header" },
		{ G2H_OFFSET, 4 * PAGE - 1, -EINVAL, "g2h.offset", "not a multiple" },
		{ G2H_OFFSET, 3 * PAGE, -EINVAL, "g2h.offset", "overlap" },
		{ G2H_OFFSET, PAGE, -EINVAL, "g2h.offset", "overlap" },
		{ G2H_OFFSET, 10 * PAGE, 0, NULL, NULL },
		{ G2H_OFFSET, 11 * PAGE, -EINVAL, "g2h.offset", "ends outside the region" },
	};
	struct kring_header h = header_good();
	struct kring_layout l;
	struct kring_fault f;
	size_t i;
	int code;

	ok(!check(&h, 16 * PAGE, &l, &f), "a good header is taken");
	ok(l.region_size == 16 * PAGE && l.granule == PAGE && l.h2g.head == PAGE &&
	   l.h2g.size == PAGE && l.g2h.head == 4 * PAGE && l.g2h.size == 4 * PAGE &&
	   !strcmp(l.name, "default"), "and read right");
	ok(!check(&h, 17 * PAGE, &l, &f), "what holds the region may be larger");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		h = header_good();
		header_set(&h, cases[i].field, cases[i].value);
		code = check(&h, 16 * PAGE, &l, &f);
		if (!cases[i].code)
			ok(!code, "case %zu is taken", i);
		else
			ok(code == cases[i].code && !strcmp(f.field, cases[i].name) &&
			   strstr(f.why, cases[i].why), "%s %llu: %s", cases[i].name,
			   (unsigned long long)cases[i].value, cases[i].why);
	}

	h = header_good();
	code = check(&h, sizeof(h) - 1, &l, &f);
	ok(code == -EINVAL && !strcmp(f.field, "region_size") && f.value == sizeof(h) - 1,
	   "127 bytes: %s", f.why);
	code = check(&h, sizeof(union kring_any_header) - 1, &l, &f);
	ok(code == -EINVAL && strstr(f.why, "too small even for a header"),
	   "less than the longest header: %s", f.why);
}

/* What READY says counts only when it was seen before the rest was read. */
static void test_settle(void)
{
	union kring_any_header before = { .native = header_good() };
	union kring_any_header h = { .native = header_good() };
	struct kring_layout l;
	struct kring_fault f;

	kring_header_settle(&h, &before);
	ok(!kring_header_check(&h, 16 * PAGE, &l, &f), "READY at both looks is READY");
	before.native.state = cpu_to_le32(KRING_STATE_INIT);
	kring_header_settle(&h, &before);
	ok(kring_header_check(&h, 16 * PAGE, &l, &f) == -EAGAIN, "READY at the second is not");

	memset(&h, 0, sizeof(h));
	h.amrb.state = cpu_to_le32(KRING_AMRB_READY);
	h.amrb.magic = cpu_to_le32(KRING_AMRB_MAGIC);
	h.amrb.version = cpu_to_le32(KRING_AMRB_VERSION);
	h.amrb.data_size = cpu_to_le32(4096);
	h.amrb.total_size = cpu_to_le64(192 + 2 * 4096);
	before = h;
	kring_header_settle(&h, &before);
	ok(!kring_header_check(&h, 16 * PAGE, &l, &f), "AMRB: READY at both looks is READY");
	before.amrb.state = 0;
	kring_header_settle(&h, &before);
	ok(kring_header_check(&h, 16 * PAGE, &l, &f) == -EAGAIN,
	   "AMRB: READY at the second is not");

	/* In AMRB the state is where a native header has its magic. */
	h.native = header_good();
	before.native = header_good();
	h.native.magic = cpu_to_le32(0x474e0000);
	before.native.state = 0;
	kring_header_settle(&h, &before);
	ok(kring_header_check(&h, 16 * PAGE, &l, &f) == -ENODEV, "two looks are not mixed");
}

/* From a header to the two rings that the verbs get. */
static void test_geometry(void)
{
	static const struct {
		uint32_t size;
		uint32_t max;
		uint32_t send_max;
	} cases[] = {
		{ 16, 12, 4 },
		{ 4096, 4092, 2044 },
		{ 1 << 24, (1 << 24) - 4, (1 << 23) - 4 },
		{ 1 << 25, 1 << 24, (1 << 24) - 4 },
		{ 1 << 26, 1 << 24, 1 << 24 },
		{ 1 << 30, 1 << 24, 1 << 24 },
	};
	/* Nothing is there: it is only counted from. */
	uint8_t *base = (uint8_t *)0x100000;
	struct kring_header native = header_good();
	union kring_any_header h = { 0 };
	struct kring_ring h2g, g2h;
	struct kring_layout l;
	struct kring_fault f;
	size_t i;

	must(!check(&native, 16 * PAGE, &l, &f));
	kring_layout_rings(&l, base, &h2g, &g2h);
	ok((uint8_t *)h2g.head == base + PAGE && (uint8_t *)h2g.want_space == base + PAGE + 4 &&
	   (uint8_t *)h2g.tail == base + 2 * PAGE &&
	   (uint8_t *)h2g.want_data == base + 2 * PAGE + 4 && h2g.data == base + 3 * PAGE &&
	   h2g.size == PAGE, "native: where h2g is");
	ok((uint8_t *)g2h.head == base + 4 * PAGE && (uint8_t *)g2h.tail == base + 5 * PAGE &&
	   g2h.data == base + 6 * PAGE && g2h.size == 4 * PAGE, "native: where g2h is");
	ok(h2g.header == 8 && h2g.align == 8 && h2g.max == PAGE / 2 - 8 &&
	   h2g.send_max == h2g.max && g2h.max == 2 * PAGE - 8, "native: its frames");

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		h.amrb.state = cpu_to_le32(KRING_AMRB_READY);
		h.amrb.magic = cpu_to_le32(KRING_AMRB_MAGIC);
		h.amrb.version = cpu_to_le32(KRING_AMRB_VERSION);
		h.amrb.data_size = cpu_to_le32(cases[i].size);
		h.amrb.total_size = cpu_to_le64(192 + 2ULL * cases[i].size);
		must(!kring_header_check(&h, 1ULL << 32, &l, &f));
		kring_layout_rings(&l, base, &h2g, &g2h);
		ok((uint8_t *)h2g.head == base + 64 && (uint8_t *)g2h.tail == base + 160 &&
		   g2h.data == base + 192 + cases[i].size && !h2g.want_data && !g2h.want_space &&
		   h2g.header == 4 && h2g.align == 1, "AMRB, %u bytes: where its rings are",
		   cases[i].size);
		ok(h2g.max == cases[i].max && g2h.send_max == cases[i].send_max,
		   "AMRB, %u bytes: frames of %u, and %u are sent", cases[i].size, h2g.max,
		   g2h.send_max);
	}
}

static const char *file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* The same for AMRB: one field at a time. */
static void test_amrb_header(void)
{
	static const struct {
		size_t at;
		uint64_t value;
		int code;
		const char *name;
		const char *why;
	} cases[] = {
		{ 0, 0, -EAGAIN, "init_state", "not ready" },
		{ 4, 0, -ENODEV, "magic", "not a kring region" },
		{ 8, 3, -EPROTONOSUPPORT, "version", "not the 4" },
		{ 8, 5, -EPROTONOSUPPORT, "version", "not the 4" },
		{ 12, 0, -EINVAL, "data_size", "power of two" },
		{ 12, 4097, -EINVAL, "data_size", "power of two" },
		{ 12, 8, -EINVAL, "data_size", "less than 16" },
		{ 12, 1U << 31, -EINVAL, "data_size", "more than 1 GiB" },
		{ 12, 8192, -EINVAL, "total_size", "not 192" },
		{ 16, 192 + 2 * 4096 + 1, -EINVAL, "total_size", "not 192" },
		{ 20, 1, -EINVAL, "total_size", "not 192" },
		{ 24, 0xffffffff, 0, NULL, NULL },
	};
	const struct kring_amrb_header good = {
		.state = cpu_to_le32(KRING_AMRB_READY),
		.magic = cpu_to_le32(KRING_AMRB_MAGIC),
		.version = cpu_to_le32(4),
		.data_size = cpu_to_le32(4096),
		.total_size = cpu_to_le64(192 + 2 * 4096),
	};
	union kring_any_header h;
	struct kring_layout l;
	struct kring_fault f;
	__le32 word;
	size_t i;
	int code;

	h.amrb = good;
	ok(!kring_header_check(&h, 192 + 2 * 4096, &l, &f) && l.format == KRING_FORMAT_AMRB &&
	   !strcmp(l.name, "amrb"), "a good AMRB header is taken");
	ok(l.h2g.head == 64 && l.h2g.tail == 96 && l.h2g.data == 192 && l.g2h.head == 128 &&
	   l.g2h.tail == 160 && l.g2h.data == 192 + 4096 && l.g2h.size == 4096, "and read right");
	ok(kring_header_check(&h, 192 + 2 * 4096 - 1, &l, &f) == -EINVAL &&
	   strstr(f.why, "truncated"), "truncated by a byte");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		h.amrb = good;
		word = cpu_to_le32(cases[i].value);
		memcpy((char *)&h + cases[i].at, &word, sizeof(word));
		code = kring_header_check(&h, 1 << 20, &l, &f);
		if (!cases[i].code)
			ok(!code, "AMRB case %zu is taken", i);
		else
			ok(code == cases[i].code && !strcmp(f.field, cases[i].name) &&
			   strstr(f.why, cases[i].why), "AMRB %s: %s", cases[i].name,
			   cases[i].why);
	}
}

static void test_amrb_create(void)
{
	struct kring_create_args args = { .format = KRING_FORMAT_AMRB };
	struct kring_error err;
	struct kring_stat st;

	ok(!kring_create(file("m"), &args, &err) && !kring_stat(file("m"), &st, &err) &&
	   st.layout.format == KRING_FORMAT_AMRB && st.h2g.size == 1 << 20 &&
	   st.layout.region_size == 192 + (2 << 20) && !st.generation, "create AMRB");
	unlink(file("m"));
	args.size = 3 * PAGE;
	ok(!kring_create(file("m"), &args, &err) && !kring_stat(file("m"), &st, &err) &&
	   st.h2g.size == PAGE, "the smallest");
	unlink(file("m"));
	args.size = 2 * PAGE;
	ok(kring_create(file("m"), &args, &err) == -EINVAL, "one less: %s", err.text);
	args = (struct kring_create_args) { .format = KRING_FORMAT_AMRB, .name = "x" };
	ok(kring_create(file("m"), &args, &err) == -EINVAL, "%s", err.text);
	args = (struct kring_create_args) { .format = KRING_FORMAT_AMRB, .granule = 4096 };
	ok(kring_create(file("m"), &args, &err) == -EINVAL, "%s", err.text);
}

static void test_names(void)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {
		{ "a", true }, { "default", true }, { "A-Z_0.9", true },
		{ "1234567890123456789012345678901", true },
		{ "12345678901234567890123456789012", false },
		{ "", false }, { "a b", false }, { "a/b", false }, { "a\n", false },
		{ "a\x80", false }, { "\xc3\xa4", false }, { "a:", false }, { "a@", false },
		{ "a[", false }, { "a`", false }, { "a{", false },
	};
	struct kring_header h;
	struct kring_layout l;
	struct kring_fault f;
	bool good;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		h = header_good();
		memset(h.name, 0, sizeof(h.name));
		memcpy(h.name, cases[i].name, strlen(cases[i].name));
		good = !check(&h, 16 * PAGE, &l, &f);
		ok(good == cases[i].good, "name %zu of %zu bytes: taken %d", i,
		   strlen(cases[i].name), cases[i].good);
	}
}

static void test_create(void)
{
	static const uint32_t granules[] = { 4096, 16384, 65536 };
	struct kring_create_args args = { 0 };
	struct kring_stat st, other;
	struct kring_error err;
	struct stat file_st;
	size_t i;

	umask(022);
	ok(!kring_create(file("a"), NULL, &err), "create with all defaults");
	must(!stat(file("a"), &file_st));
	ok((file_st.st_mode & 07777) == 0600, "mode 0600");
	ok(file_st.st_size == KRING_REGION_DEFAULT_SIZE && file_st.st_blocks * 512 < 65536,
	   "4 MiB, sparse");
	ok(!kring_stat(file("a"), &st, &err), "stat");
	ok(st.generation == 1 && !st.restored && !st.features && st.owner == 0 &&
	   st.layout.granule == 4096 && !strcmp(st.layout.name, "default"),
	   "generation 1, no owner, granule 4096");
	ok(st.h2g.size == 1 << 20 && st.g2h.size == 1 << 20 && !st.h2g.in_flight &&
	   !st.h2g.corrupt && !st.g2h.corrupt, "two rings of 1 MiB, empty");
	ok(kring_create(file("a"), NULL, &err) == -EEXIST, "it does not replace: %s", err.text);
	must(!kring_create(file("b"), NULL, &err) && !kring_stat(file("b"), &other, &err));
	ok(memcmp(st.uuid, other.uuid, sizeof(st.uuid)), "two regions have two uuids");

	for (i = 0; i < 3; i++) {
		unlink(file("g"));
		args.granule = granules[i];
		args.size = 7ULL * granules[i];
		args.name = "x.1";
		ok(!kring_create(file("g"), &args, &err) && !kring_stat(file("g"), &st, &err) &&
		   st.h2g.size == granules[i] && st.layout.granule == granules[i] &&
		   !strcmp(st.layout.name, "x.1"), "the smallest with granule %u", granules[i]);
		unlink(file("g"));
		args.size -= granules[i];
		ok(kring_create(file("g"), &args, &err) == -EINVAL, "one less: %s", err.text);
		args.size += granules[i] + 1;
		ok(kring_create(file("g"), &args, &err) == -EINVAL, "one byte more: %s", err.text);
	}

	args = (struct kring_create_args) { .size = 9 * PAGE };
	ok(!kring_create(file("g"), &args, &err) && !kring_stat(file("g"), &st, &err) &&
	   st.h2g.size == 2 * PAGE && st.g2h.size == 2 * PAGE, "rings are as large as fits");
	unlink(file("g"));
	args = (struct kring_create_args) { .size = 8ULL << 30 };
	ok(!kring_create(file("g"), &args, &err) && !kring_stat(file("g"), &st, &err) &&
	   st.h2g.size == 1 << 30, "rings are 1 GiB at most");
	unlink(file("g"));
	args = (struct kring_create_args) { .granule = 5000 };
	ok(kring_create(file("g"), &args, &err) == -EINVAL, "%s", err.text);
	args = (struct kring_create_args) { .name = "a b" };
	ok(kring_create(file("g"), &args, &err) == -EINVAL, "%s", err.text);
	args = (struct kring_create_args) { .size = 1ULL << 63 };
	ok(kring_create(file("g"), &args, &err) == -EINVAL, "%s", err.text);
	ok(access(file("g"), F_OK), "a file that was refused is not there");
	ok(kring_create(file("none/x"), NULL, &err) == -ENOENT, "%s", err.text);
	ok(kring_create(file("none/x"), NULL, NULL) == -ENOENT, "nobody wants to know why");
}

static void test_format(void)
{
	static _Alignas(4096) uint8_t mem[64 * 4096];
	struct kring_error err;
	struct kring_layout l;
	struct kring_fault f;

	ok(!kring_format(mem, sizeof(mem), NULL, &err), "format memory");
	ok(!kring_header_check((void *)mem, sizeof(mem), &l, &f) && l.h2g.size == 16 * 4096,
	   "its header is good");
	ok(kring_format(mem, 4096, NULL, &err) == -EINVAL, "too small: %s", err.text);
	ok(!kring_header_check((void *)mem, sizeof(mem), &l, &f), "what is refused is not written");
}

static void write_at(const char *path, off_t at, const void *buf, size_t len)
{
	int fd = open(path, O_RDWR);

	must(fd >= 0 && pwrite(fd, buf, len, at) == (ssize_t)len);
	close(fd);
}

static void test_stat(void)
{
	struct kring_stat st;
	struct kring_error err;
	char text[512];
	__le32 word;
	int fd;

	unlink(file("s"));
	must(!kring_create(file("s"), NULL, &err) && !kring_stat(file("s"), &st, &err));

	word = cpu_to_le32(64);
	write_at(file("s"), st.h2g.offset, &word, 4);
	write_at(file("s"), st.h2g.offset + 4, &word, 4);
	word = cpu_to_le32(24);
	write_at(file("s"), st.h2g.offset + 4096, &word, 4);
	word = cpu_to_le32(1);
	write_at(file("s"), st.g2h.offset + 4096 + 4, &word, 4);
	must(!kring_stat(file("s"), &st, &err));
	ok(st.h2g.head == 64 && st.h2g.tail == 24 && st.h2g.in_flight == 40 &&
	   st.h2g.want_space == 64 && !st.h2g.want_data, "cursors and want_space of h2g");
	ok(st.g2h.want_data == 1 && !st.g2h.want_space && !st.g2h.in_flight, "want_data of g2h");

	word = cpu_to_le32(72);
	write_at(file("s"), st.h2g.offset + 4096, &word, 4);
	ok(!kring_stat(file("s"), &st, &err) && st.h2g.corrupt && !st.h2g.in_flight &&
	   !st.g2h.corrupt, "tail beyond head is corrupt, the other ring is not");
	word = cpu_to_le32(63);
	write_at(file("s"), st.h2g.offset + 4096, &word, 4);
	ok(!kring_stat(file("s"), &st, &err) && st.h2g.corrupt, "an unaligned tail is corrupt");

	word = cpu_to_le32(12345);
	write_at(file("s"), offsetof(struct kring_header, h2g.size), &word, 4);
	snprintf(text, sizeof(text), "%s: h2g.size 12345: not a power of two", file("s"));
	ok(kring_stat(file("s"), &st, &err) == -EINVAL && !strcmp(err.text, text), "%s", text);
	write_at(file("s"), 0, &word, 4);
	snprintf(text, sizeof(text), "%s: magic 0x3039: not a kring region", file("s"));
	ok(kring_stat(file("s"), &st, &err) == -ENODEV && !strcmp(err.text, text), "%s", text);

	ok(kring_stat(file("none"), &st, &err) == -ENOENT, "%s", err.text);
	ok(kring_stat(dir, &st, &err) == -EINVAL, "%s", err.text);
	must(!mkfifo(file("fifo"), 0600));
	ok(kring_stat(file("fifo"), &st, &err) == -EINVAL, "%s", err.text);
	fd = open(file("empty"), O_CREAT | O_RDWR, 0600);
	must(fd >= 0);
	ok(kring_stat(file("empty"), &st, &err) == -EINVAL, "%s", err.text);
	must(!ftruncate(fd, 100));
	ok(kring_stat(file("empty"), &st, &err) == -EINVAL, "%s", err.text);
	close(fd);
}

static void test_truncated(void)
{
	struct kring_create_args args = { .size = 64 * 4096 };
	struct kring_stat st;
	struct kring_error err;
	bool good = true;
	off_t size;

	must(!kring_create(file("t"), &args, &err));
	for (size = args.size; size >= 0; size -= 1000) {
		must(!truncate(file("t"), size));
		expect(&good, !kring_stat(file("t"), &st, &err) == (size == (off_t)args.size));
	}
	ok(good, "a truncated region is refused, however long it is");
	must(!truncate(file("t"), 4096));
	ok(kring_stat(file("t"), &st, &err), "%s", err.text);
}

static void test_long_path(void)
{
	char path[4000];
	struct kring_error err;
	struct kring_stat st;

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ok(kring_stat(path, &st, &err) == -ENAMETOOLONG && strstr(err.text, "File name too long"),
	   "the reason is still told when the path is long");
}

static void test_owner(void)
{
	struct kring_stat st;
	struct kring_error err;
	pid_t child;
	int fd;

	unlink(file("o"));
	must(!kring_create(file("o"), NULL, &err));
	fd = open(file("o"), O_RDWR | O_CLOEXEC);
	must(fd >= 0 && !flock(fd, LOCK_EX));
	ok(!kring_stat(file("o"), &st, &err) && st.owner == getpid(), "the owner is found");
	must(!flock(fd, LOCK_UN));
	ok(!kring_stat(file("o"), &st, &err) && st.owner == 0, "and that there is none");

	/* The process that locked it is gone, and the open file is not. */
	child = fork();
	if (!child)
		_exit(flock(fd, LOCK_EX));
	must(waitpid(child, NULL, 0) == child);
	ok(!kring_stat(file("o"), &st, &err) && st.owner == -1, "an owner that cannot be told");
	close(fd);
}

int main(void)
{
	char cmd[SCRATCH_LEN + 8];

	scratch_make(dir);
	test_check();
	test_settle();
	test_geometry();
	test_names();
	test_amrb_header();
	test_amrb_create();
	test_create();
	test_format();
	test_stat();
	test_truncated();
	test_long_path();
	test_owner();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	must(!system(cmd));
	return tap_done();
}
