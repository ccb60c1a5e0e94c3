/* SPDX-License-Identifier: Apache-2.0 */
/* The time of day, as files and the API write it. Any thread. */
#ifndef VMMS_CLOCK_H
#define VMMS_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_BYTES 32

/* Since 1970. */
uint64_t clock_now_us(void);
/* "2026-11-21T19:20:00.123Z"; returns @text. */
const char *clock_text(uint64_t us, char text[CLOCK_TEXT_BYTES]);

#endif
