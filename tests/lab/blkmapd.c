/* A program that only sleeps: a process whose /proc/PID/exe belongs to a package. */
#include <unistd.h>

int main(void)
{
	for (;;)
		pause();
}
