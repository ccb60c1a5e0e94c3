/* SPDX-License-Identifier: Apache-2.0 */
/* Inside menu*.c: the parts of `virid config`. */
#ifndef CLI_MANAGE_MENU_H
#define CLI_MANAGE_MENU_H

#include <stdbool.h>
#include <stddef.h>

#define MENU_TEXT_BYTES 16384
#define MENU_WIDTH 70

/* ---- menu_parts.c ---- */

/* newt takes texts as if it changed them. */
char *menu_text(const char *text);
/* Shows @text until the person has read it. */
void menu_message(const char *title, const char *text);
/* The same, from a format. */
__attribute__((format(printf, 2, 3))) void menu_say(const char *title, const char *fmt, ...);
/* One line of text; NULL: cancelled, or nothing was changed. The caller frees. */
char *menu_ask(const char *title, const char *what, const char *prompt, const char *now);
/*
 * Runs a program (argv[0] NULL: this one, `virid`) with nothing to read, and keeps what it says, as far as it fits. Its exit status, 127 with why: it
 * could not be run; -1: it did not end by itself.
 */
int menu_run(const char *const *argv, char *text, size_t size);

/* ---- menu_service.c: settings that the management service keeps ---- */

void menu_storage(void);
void menu_remote(void);

#endif
