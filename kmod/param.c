// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Region source: the module's parameter region=ADDR[,SIZE], which kring.region= on the kernel's
 * command line sets, for VMMs that put a region at an address and say so.
 *
 * Both take K, M and G. Without SIZE the header says how large the region is. Several are
 * separated by ';', or the parameter is given several times. Each has a platform device of its
 * own, kring_region.N, that the instance hangs on.
 */
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/string.h>

#include "kring.h"

#define KRING_PARAM_REGIONS	16

static char kring_param[512];

static struct {
	struct platform_device *pdev;
	struct kring_instance *inst;
} kring_params[KRING_PARAM_REGIONS];

/* Before the module's init: collect. */
static int kring_param_set(const char *value, const struct kernel_param *kp)
{
	size_t len = strlen(kring_param);

	if (len + 1 + strlen(value) >= sizeof(kring_param))
		return -ENOSPC;
	if (len)
		kring_param[len++] = ';';
	strscpy(kring_param + len, value, sizeof(kring_param) - len);
	strim(kring_param + len);
	return 0;
}

static int kring_param_get(char *to, const struct kernel_param *kp)
{
	return sysfs_emit(to, "%s\n", kring_param);
}

static const struct kernel_param_ops kring_param_ops = {
	.set = kring_param_set,
	.get = kring_param_get,
};

module_param_cb(region, &kring_param_ops, NULL, 0444);
__MODULE_PARM_TYPE(region, "string");
MODULE_PARM_DESC(region, "Regions at ADDR[,SIZE], separated by ';'");

static bool kring_param_number(char **text, u64 *number)
{
	char *start = *text;

	*number = memparse(start, text);
	return *text != start;
}

/* ADDR[,SIZE] and nothing else. */
static int kring_param_parse(char *text, struct kring_source *source)
{
	u64 start;

	if (!kring_param_number(&text, &start))
		return -EINVAL;
	source->start = start;
	source->measure = *text != ',';
	if (*text == ',') {
		text++;
		if (!kring_param_number(&text, &source->size))
			return -EINVAL;
	}
	return *text || source->start != start ? -EINVAL : 0;
}

static int kring_param_add(int i, const struct kring_source *parsed)
{
	struct kring_source source = *parsed;
	struct platform_device *pdev;

	pdev = platform_device_register_simple("kring_region", i, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	source.parent = &pdev->dev;
	kring_params[i].inst = kring_instance_add(&source);
	if (IS_ERR(kring_params[i].inst)) {
		platform_device_unregister(pdev);
		return PTR_ERR(kring_params[i].inst);
	}
	kring_params[i].pdev = pdev;
	return 0;
}

/* Add the regions that the parameter names. One that is wrong keeps no other from being added. */
void kring_param_start(void)
{
	char copy[sizeof(kring_param)], *rest = copy, *text;
	int i = 0, err;

	strscpy(copy, kring_param, sizeof(copy));
	while ((text = strsep(&rest, ";"))) {
		struct kring_source source = { };

		if (!*text)
			continue;
		if (i == KRING_PARAM_REGIONS) {
			pr_err("kring: region=%s: more than %d\n", text, KRING_PARAM_REGIONS);
			return;
		}
		if (kring_param_parse(text, &source)) {
			pr_err("kring: region=%s: not ADDR[,SIZE]\n", text);
			continue;
		}
		err = kring_param_add(i, &source);
		if (err)
			pr_err("kring: region=%s: no region there (%d)\n", text, err);
		else
			i++;
	}
}

void kring_param_stop(void)
{
	int i;

	for (i = 0; i < KRING_PARAM_REGIONS && kring_params[i].pdev; i++) {
		kring_instance_remove(kring_params[i].inst);
		platform_device_unregister(kring_params[i].pdev);
	}
}
