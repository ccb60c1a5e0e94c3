/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the state of the running machine to a file: save (it stands still until the file is complete, and ends then) and checkpoint (it goes on at once).
 * One at a time. Loop thread.
 */
#ifndef VMWP_SAVING_H
#define VMWP_SAVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

/* How it went: @why NULL, or what failed. Not called when the worker ends before. */
typedef void saving_done(void *ctx, const char *why);

/* Writes to @fd (owned from here, also on failure), then ends the round with END_SAVED; on failure the machine goes on as it was before. NULL, or why not. */
const char *saving_save(struct worker *w, int fd, saving_done *done, void *ctx);
/*
 * Switches the disks to what was prepared for them, catches the state, and lets the machine go on as it was before; *@ret_pause_ns is how long it stood
 * still. @done when the file is complete. What was prepared is used or given up. @fd -1: only the disks; @done is not
 * called.
 */
const char *saving_checkpoint(struct worker *w, int fd, saving_done *done, void *ctx,
			      uint64_t *ret_pause_ns);
/* "save", "checkpoint" or NULL, and how far it is. */
const char *saving_what(const struct worker *w, uint64_t *ret_done, uint64_t *ret_total);
/* While one is under way: the machine stood still before, and is to do so when it comes back. */
bool saving_was_paused(const struct worker *w);
/* The round ends: what is under way is given up, and its @done hears so. */
void saving_cancel(struct worker *w);

#endif
