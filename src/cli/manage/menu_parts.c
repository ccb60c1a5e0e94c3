// SPDX-License-Identifier: Apache-2.0
/* What the entries of `virid config` are made of: windows, and programs whose output is shown. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "menu.h"
#include "newt_late.h"

#define MESSAGE_ROWS 16

LATE_LIBRARY(newt_library, "menu", "for the menu", "recommended", "libnewt.so.0.52");

static char ok[] = "OK", cancel[] = "Cancel";

char *menu_text(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* ---- Windows ---- */

void menu_message(const char *title, const char *text)
{
	newtComponent form = newtForm(NULL, NULL, 0), box, button;

	newtCenteredWindow(MENU_WIDTH, MESSAGE_ROWS + 5, title);
	box = newtTextbox(1, 1, MENU_WIDTH - 2, MESSAGE_ROWS, NEWT_FLAG_SCROLL | NEWT_FLAG_WRAP);
	newtTextboxSetText(box, text);
	button = newtButton(MENU_WIDTH / 2 - 5, MESSAGE_ROWS + 2, ok);
	newtFormAddComponents(form, box, button, NULL);
	/* The arrows scroll the text. */
	newtFormAddHotKey(form, NEWT_KEY_ESCAPE);
	newtFormAddHotKey(form, NEWT_KEY_RETURN);
	newtRunForm(form);
	newtFormDestroy(form);
	newtPopWindow();
}

void menu_say(const char *title, const char *fmt, ...)
{
	char text[MENU_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	menu_message(title, text);
}

char *menu_ask(const char *title, const char *what, const char *prompt, const char *now)
{
	char *value = NULL;
	const char *result = NULL;
	int at = (int)strlen(prompt) + 2;
	newtComponent form = newtForm(NULL, NULL, 0), entry, yes, no;
	struct newtExitStruct how;

	newtCenteredWindow(MENU_WIDTH, 9, title);
	entry = newtEntry(at, 3, now, MENU_WIDTH - at - 2, &result, NEWT_FLAG_SCROLL);
	yes = newtButton(15, 5, ok);
	no = newtButton(40, 5, cancel);
	newtFormAddComponents(form, newtLabel(1, 1, what), newtLabel(1, 3, prompt), entry, yes, no,
			      NULL);
	newtFormAddHotKey(form, NEWT_KEY_ESCAPE);
	newtFormRun(form, &how);
	bool taken = how.reason == NEWT_EXIT_COMPONENT && how.u.co != no;

	if (taken && result != NULL && result[0] != '\0' && strcmp(result, now) != 0) {
		value = strdup(result);
	}
	newtFormDestroy(form);
	newtPopWindow();
	return value;
}

/* ---- Programs ---- */

static void become(const char *const *argv, int output)
{
	const char *program = argv[0] == NULL ? "/proc/self/exe" : argv[0];
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const char *words[16] = {argv[0] == NULL ? "virid" : argv[0]};

	for (size_t i = 1; i < sizeof(words) / sizeof(words[0]) - 1 && argv[i] != NULL; i++) {
		words[i] = argv[i];
	}
	dup2(nothing, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execvp(program, (char *const *)(uintptr_t)words);
	dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
	_exit(127);
}

static void read_all(int fd, char *text, size_t size)
{
	char rest[512];
	size_t used = 0;
	ssize_t n;

	do {
		bool full = used + 1 >= size;

		n = full ? read(fd, rest, sizeof(rest)) : read(fd, text + used, size - 1 - used);
		if (n > 0 && !full) {
			used += (size_t)n;
		}
	} while (n > 0 || (n < 0 && errno == EINTR));
	text[used] = '\0';
}

int menu_run(const char *const *argv, char *text, size_t size)
{
	int fds[2], status;

	text[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0) {
		return -1;
	}
	pid_t pid = fork();

	if (pid == 0) {
		become(argv, fds[1]);
	}
	close(fds[1]);
	if (pid > 0) {
		read_all(fds[0], text, size);
	}
	close(fds[0]);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status)) {
		return WEXITSTATUS(status);
	}
	return -1;
}
