/*
 * A process whose /proc/PID/exe belongs to a package; it only sleeps. With a FIFO as argument it sleeps inside of
 * vfork(2), not to be interrupted, until its child has read one byte from there.
 */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	if (argc > 1 && vfork() == 0) {
		int fifo = open(argv[1], O_RDONLY);

		_exit(fifo < 0 || read(fifo, &byte, 1) != 1);
	}
	for (;;)
		pause();
}
