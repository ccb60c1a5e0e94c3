// SPDX-License-Identifier: Apache-2.0
#include "host/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A program has one log; set once by log_init. */
static const char *log_program = "virid";
static const char *log_vm;

/* What ended a program is asked for when it ends. */
static pthread_mutex_t recent_lock = PTHREAD_MUTEX_INITIALIZER;
static char recent[1024];

void log_init(const char *program, const char *vm)
{
	log_program = program;
	log_vm = vm;
}

static void remember(const char *text)
{
	pthread_mutex_lock(&recent_lock);
	snprintf(recent, sizeof(recent), "%s", text);
	pthread_mutex_unlock(&recent_lock);
}

void log_last(char *ret, size_t size)
{
	pthread_mutex_lock(&recent_lock);
	snprintf(ret, size, "%s", recent);
	pthread_mutex_unlock(&recent_lock);
}

/* Guests and files have a say in some lines: what steers a terminal is not for them. */
static void tame(char *text)
{
	for (char *c = text; *c != '\0'; c++) {
		if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == '\x7f') {
			*c = '?';
		}
	}
}

void log_line(const char *fmt, ...)
{
	char line[1024];
	int used = log_vm != NULL ? snprintf(line, sizeof(line), "%s: %s: ", log_program, log_vm)
				  : snprintf(line, sizeof(line), "%s: ", log_program);
	size_t at = used < 0 ? 0 : (size_t)used < sizeof(line) ? (size_t)used : sizeof(line) - 1;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + at, sizeof(line) - 1 - at, fmt, ap);
	va_end(ap);
	tame(line + at);
	remember(line + at);
	size_t length = strlen(line);

	line[length++] = '\n';
	ssize_t n = write(STDERR_FILENO, line, length); /* one write: lines of threads do not mix */

	(void)n;
}
