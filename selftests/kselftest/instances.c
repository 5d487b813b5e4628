// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Several regions, which have nothing to do with each other; and what sysfs says of each.
 */
#include <ctype.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define LOOPS	2

#include "../kselftest_harness.h"
#include "ends.h"

FIXTURE(instances) {
	struct ends one;
	struct ends two;
};

FIXTURE_SETUP(instances)
{
	ASSERT_TRUE(ends_open(&self->one, 0));
	ASSERT_TRUE(ends_open(&self->two, 1));
}

FIXTURE_TEARDOWN(instances)
{
	ends_close(&self->one);
	ends_close(&self->two);
}

static const char *node(const char *path)
{
	return strrchr(path, '/') + 1;
}

TEST_F(instances, frames)
{
	struct ends *one = &self->one, *two = &self->two;

	ASSERT_EQ(3, write(one->guest, "one", 3));
	EXPECT_EQ(-1, read(two->host, two->frame, two->frame_size));
	ASSERT_EQ(3, write(two->guest, "two", 3));
	EXPECT_EQ(3, read(one->host, one->frame, one->frame_size));
	EXPECT_EQ(0, memcmp(one->frame, "one", 3));
	EXPECT_EQ(3, read(two->host, two->frame, two->frame_size));
	EXPECT_EQ(0, memcmp(two->frame, "two", 3));
	EXPECT_NE(0, memcmp(one->info.uuid, two->info.uuid, KRING_UUID_LEN));
	EXPECT_STREQ("loop1", (char *)two->info.name);
}

TEST_F(instances, poison)
{
	struct ends *one = &self->one, *two = &self->two;
	uint32_t was = ends_corrupt(one, one->layout.h2g.head, 0x7fffffff);

	EXPECT_EQ(-1, read(one->guest, one->frame, 1));
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(POLLOUT, ends_poll(two->guest, 0));
	ASSERT_EQ(1, write(two->host, "x", 1));
	EXPECT_EQ(1, read(two->guest, two->frame, 1));
	ends_corrupt(one, one->layout.h2g.head, was);
	EXPECT_EQ(0, ioctl(one->guest, KRING_IOC_RESET));
}

TEST_F(instances, unplugged)
{
	struct ends *one = &self->one, *two = &self->two;

	ends_unplug(one);
	EXPECT_EQ(POLLHUP | POLLERR, ends_poll(one->guest, 0) & (POLLHUP | POLLERR));
	EXPECT_EQ(POLLOUT, ends_poll(two->guest, 0));
	ASSERT_EQ(1, write(two->host, "x", 1));
	EXPECT_EQ(1, read(two->guest, two->frame, 1));
	ends_plug(one);
}

static bool is_number(const char *text)
{
	if (!*text)
		return false;
	while (isdigit((unsigned char)*text))
		text++;
	return !*text;
}

/* What Documentation/ABI/testing/sysfs-class-kring promises of each end. */
TEST_F(instances, attributes)
{
	static const char *const numbers[] = {
		"generation", "h2g_size", "g2h_size", "stats/h2g_frames", "stats/g2h_frames",
		"stats/h2g_bytes", "stats/g2h_bytes", "stats/h2g_high_water",
		"stats/g2h_high_water", "stats/kicks_sent", "stats/kicks_suppressed",
		"stats/kicks_received", "stats/wakeups_rescued",
	};
	const char *nodes[] = { node(self->one.loop.guest), node(self->one.loop.host),
				node(self->two.loop.guest), node(self->two.loop.host) };
	char value[64];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		for (j = 0; j < ARRAY_SIZE(numbers); j++) {
			loop_attribute(nodes[i], numbers[j], value, sizeof(value));
			EXPECT_TRUE(is_number(value)) TH_LOG("%s/%s", nodes[i], numbers[j]);
		}
		loop_attribute(nodes[i], "name", value, sizeof(value));
		EXPECT_STREQ(i < 2 ? "loop0" : "loop1", value);
		loop_attribute(nodes[i], "end", value, sizeof(value));
		EXPECT_STREQ(i % 2 ? "host" : "guest", value);
		loop_attribute(nodes[i], "format", value, sizeof(value));
		EXPECT_STREQ("native", value);
		loop_attribute(nodes[i], "doorbell", value, sizeof(value));
		EXPECT_STREQ("loop", value);
		loop_attribute(nodes[i], "uuid", value, sizeof(value));
		EXPECT_EQ(36, strlen(value));
	}
}

static unsigned long number_of(const char *path, const char *name)
{
	char value[64];

	loop_attribute(node(path), name, value, sizeof(value));
	return strtoul(value, NULL, 10);
}

/* Each end counts by itself. */
TEST_F(instances, statistics)
{
	struct ends *e = &self->one;
	unsigned long frames, bytes, received, other;

	frames = number_of(e->loop.guest, "stats/g2h_frames");
	bytes = number_of(e->loop.guest, "stats/g2h_bytes");
	received = number_of(e->loop.host, "stats/g2h_frames");
	other = number_of(self->two.loop.guest, "stats/g2h_frames");
	ASSERT_EQ(100, write(e->guest, e->frame, 100));
	EXPECT_EQ(frames + 1, number_of(e->loop.guest, "stats/g2h_frames"));
	EXPECT_EQ(bytes + 100, number_of(e->loop.guest, "stats/g2h_bytes"));
	EXPECT_EQ(received, number_of(e->loop.host, "stats/g2h_frames"));
	ASSERT_EQ(100, read(e->host, e->frame, e->frame_size));
	EXPECT_EQ(received + 1, number_of(e->loop.host, "stats/g2h_frames"));
	EXPECT_LE(112, number_of(e->loop.host, "stats/g2h_high_water"));
	EXPECT_EQ(other, number_of(self->two.loop.guest, "stats/g2h_frames"));
}

TEST_HARNESS_MAIN
