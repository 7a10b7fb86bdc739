// SPDX-License-Identifier: GPL-2.0
/*
 * All live patches of the lab's kernel in one source; LEVEL says which. Cumulative, as SUSE's are.
 * 1 patches nothing, 2 and 3 show their level at the end of /proc/version, 4 patches vfork as well, in which a task can
 * sleep as long as it likes: its transition ends when that task is gone.
 */
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/utsname.h>

static struct klp_func funcs[8];

#if LEVEL >= 2
static int patched_version(struct seq_file *m, void *v)
{
	struct new_utsname *uts = utsname();

	seq_printf(m, "%s version %s (lab) %s lp-%d\n", uts->sysname, uts->release, uts->version, LEVEL);
	return 0;
}
#endif

#if LEVEL >= 4
static pid_t (*clone)(struct kernel_clone_args *args);

static long patched_vfork(const struct pt_regs *regs)
{
	struct kernel_clone_args args = { .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD };

	return clone(&args);
}

/* Modules may not call kernel_clone; a probe knows its address. */
static int find_clone(void)
{
	struct kprobe probe = { .symbol_name = "kernel_clone" };
	int error = register_kprobe(&probe);

	if (error)
		return error;
	clone = (void *)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}
#endif

static struct klp_object objects[] = { { .funcs = funcs }, { } };
static struct klp_object nothing[] = { { } };
static struct klp_patch patch = { .mod = THIS_MODULE, .replace = true };

static int __init livepatch_init(void)
{
	patch.objs = LEVEL >= 2 ? objects : nothing;
#if LEVEL >= 2
	funcs[0].old_name = "version_proc_show";
	funcs[0].new_func = patched_version;
#endif
#if LEVEL >= 4
	if (find_clone())
		return -ENOENT;
	funcs[1].old_name = "__x64_sys_vfork";
	funcs[1].new_func = patched_vfork;
#endif
	return klp_enable_patch(&patch);
}

static void __exit livepatch_exit(void)
{
}

module_init(livepatch_init);
module_exit(livepatch_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("live patch of the salt-klp test lab");
MODULE_INFO(livepatch, "Y");
