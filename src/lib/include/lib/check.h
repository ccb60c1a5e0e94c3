/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions that stay in every build: for our own bugs only, never for foreign input. */
#ifndef LIB_CHECK_H
#define LIB_CHECK_H

/* Provided by the program (hosted: prints and aborts; bare metal: stops the machine). */
_Noreturn void check_failed(const char *expr, const char *file, int line);

#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

#endif
