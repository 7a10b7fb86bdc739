/*
 * Preloaded into every program of a lab host.
 *
 * 1. uname() tells the kernel of FAKE_UNAME_R and FAKE_UNAME_V. When a live patch is enabled, "/lp" is put
 *    before the ")" of the version, as SUSE's live patches do.
 * 2. Each program that is started appends one line to the file named by LAB_PROGRAMS:
 *    pid TAB ppid TAB exe of the caller TAB path of the program { TAB argument } NEWLINE
 *    Tab, newline and backslash in a field are written as \t, \n and \\.
 * 3. While there is a folder GATE, a program whose line was written makes a FIFO there, named by its pid, and waits until
 *    somebody has opened and closed it for writing.
 *
 * This code may run between vfork and exec: no malloc, no locks, one write() with O_APPEND.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LIVEPATCH "/sys/kernel/livepatch"
#define GATE "/run/lab-gate"
#define LINE 8192

extern char **environ;

/* ---- uname ---- */

static int live_patched(void)
{
	char path[512], value = '0';
	struct dirent *entry;
	DIR *dir = opendir(LIVEPATCH);
	int found = 0, fd;

	if (!dir)
		return 0;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), LIVEPATCH "/%s/enabled", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		found = read(fd, &value, 1) == 1 && value == '1';
		close(fd);
	}
	closedir(dir);
	return found;
}

int uname(struct utsname *u)
{
	const char *release = getenv("FAKE_UNAME_R"), *version = getenv("FAKE_UNAME_V");
	const char *end;
	int saved = errno;

	if (syscall(SYS_uname, u))
		return -1;
	if (release)
		snprintf(u->release, sizeof(u->release), "%s", release);
	if (version) {
		end = strrchr(version, ')');
		if (end && !strstr(version, "/lp") && live_patched())
			snprintf(u->version, sizeof(u->version), "%.*s/lp%s", (int)(end - version), version, end);
		else
			snprintf(u->version, sizeof(u->version), "%s", version);
	}
	errno = saved;
	return 0;
}

/* ---- the log of started programs ---- */

struct line {
	char text[LINE];
	size_t used;
};

static void add(struct line *line, const char *text)
{
	for (; *text && line->used < LINE - 3; text++) {
		char plain = *text == '\t' ? 't' : *text == '\n' ? 'n' : *text == '\\' ? '\\' : 0;

		if (plain)
			line->text[line->used++] = '\\';
		line->text[line->used++] = plain ? plain : *text;
	}
}

static void add_tab(struct line *line)
{
	if (line->used < LINE - 3)
		line->text[line->used++] = '\t';
}

static void add_number(struct line *line, long number)
{
	char text[24];
	int at = sizeof(text) - 1;

	text[at] = 0;
	do
		text[--at] = '0' + number % 10;
	while (number /= 10);
	add(line, text + at);
	add_tab(line);
}

static int runnable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static void wait_at_gate(void)
{
	char path[64], byte;
	int fd;

	snprintf(path, sizeof(path), GATE "/%ld", (long)getpid());
	if (mkfifo(path, 0600))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
	close(fd);
}

static void log_program(const char *path, char *const argv[])
{
	const char *name = getenv("LAB_PROGRAMS");
	struct line line = { .used = 0 };
	char exe[1024];
	ssize_t size;
	int fd, saved = errno;

	if (!name || !runnable(path)) {
		errno = saved;
		return;
	}
	add_number(&line, getpid());
	add_number(&line, getppid());
	size = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[size > 0 ? size : 0] = 0;
	add(&line, exe);
	add_tab(&line);
	add(&line, path);
	for (; argv && *argv; argv++) {
		add_tab(&line);
		add(&line, *argv);
	}
	line.text[line.used++] = '\n';
	fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd >= 0) {
		size = write(fd, line.text, line.used);
		close(fd);
		wait_at_gate();
	}
	errno = saved;
}

/* Find FILE as execvp does; return 0 when there is no such program. */
static int search(const char *file, char *path, size_t size)
{
	const char *dirs = getenv("PATH"), *end;

	if (strchr(file, '/'))
		return snprintf(path, size, "%s", file) < (int)size;
	for (dirs = dirs ? dirs : "/bin:/usr/bin";; dirs = end + 1) {
		end = strchrnul(dirs, ':');
		if (end == dirs)
			snprintf(path, size, "./%s", file);
		else
			snprintf(path, size, "%.*s/%s", (int)(end - dirs), dirs, file);
		if (runnable(path))
			return 1;
		if (!*end)
			return 0;
	}
}

static void log_search(const char *file, char *const argv[])
{
	char path[4096];

	if (search(file, path, sizeof(path)))
		log_program(path, argv);
}

/* ---- the calls that start programs ---- */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int execve(const char *path, char *const argv[], char *const envp[])
{
	log_program(path, argv);
	return syscall(SYS_execve, path, argv, envp);
}

int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

static int (*real_execvpe)(const char *, char *const[], char *const[]);
static int (*real_spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
			 char *const[], char *const[]);
static int (*real_spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
			  char *const[], char *const[]);

__attribute__((constructor)) static void resolve(void)
{
	real_execvpe = REAL(execvpe);
	real_spawn = REAL(posix_spawn);
	real_spawnp = REAL(posix_spawnp);
}

int execvpe(const char *file, char *const argv[], char *const envp[])
{
	log_search(file, argv);
	return real_execvpe(file, argv, envp);
}

int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	log_program(path, argv);
	return real_spawn(pid, path, actions, attr, argv, envp);
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	log_search(file, argv);
	return real_spawnp(pid, file, actions, attr, argv, envp);
}

/* Count the arguments of an execl-like call and copy them to an array on the stack. */
#define COLLECT(args, argv, first)                                          \
	int count_ = 1, index_ = 1;                                         \
	va_list args, again_;                                               \
	va_start(args, first);                                              \
	va_copy(again_, args);                                              \
	while (va_arg(again_, char *))                                      \
		count_++;                                                   \
	va_end(again_);                                                     \
	char **argv = alloca((count_ + 1) * sizeof(char *));                \
	argv[0] = (char *)first;                                            \
	while ((argv[index_] = va_arg(args, char *)))                       \
		index_++

int execl(const char *path, const char *first, ...)
{
	COLLECT(args, argv, first);
	va_end(args);
	return execve(path, argv, environ);
}

int execlp(const char *file, const char *first, ...)
{
	COLLECT(args, argv, first);
	va_end(args);
	return execvpe(file, argv, environ);
}

int execle(const char *path, const char *first, ...)
{
	COLLECT(args, argv, first);
	char **envp = va_arg(args, char **);
	va_end(args);
	return execve(path, argv, envp);
}
