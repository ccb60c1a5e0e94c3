/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userfaultfd: memory whose missing pages are asked for. Pages that are there already are left as they are by all of these, and whoever waits
 * for them goes on.
 */
#ifndef SAVED_UFFD_H
#define SAVED_UFFD_H

#include <stddef.h>
#include <stdint.h>

/* -ENOSYS, -EPERM: not on this host. */
int uffd_open(int *ret_fd);
int uffd_register(int fd, void *start, size_t bytes);
/* Missing pages are zeros again, for those who wait too. */
void uffd_unregister(int fd, void *start, size_t bytes);
/* Puts @bytes (pages) there, all of a page at once. -ENOENT: not registered any more. */
int uffd_copy(int fd, void *to, const void *from, size_t bytes);
int uffd_zero(int fd, void *to, size_t bytes);
/* Whoever waits for them looks again. */
void uffd_wake(int fd, void *start, size_t bytes);
/* The addresses of up to @count missing pages that somebody waits for; does not wait. */
size_t uffd_read(int fd, uint64_t *ret_addresses, size_t count);

#endif
