// SPDX-License-Identifier: GPL-2.0
/* Give the running kernel the release (uname -r) that is asked for: live patches of the lab have names for that one. */
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/string.h>
#include <linux/utsname.h>

static char *release;
module_param(release, charp, 0);

static int __init suserelease_init(void)
{
	if (!release || strlen(release) >= sizeof(init_uts_ns.name.release))
		return -EINVAL;
	strscpy(init_uts_ns.name.release, release, sizeof(init_uts_ns.name.release));
	return 0;
}

module_init(suserelease_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("uname -r of the salt-klp test lab");
