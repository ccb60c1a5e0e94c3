/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKEND_HOLDER_H
#define BACKEND_HOLDER_H

/* The process with a lock on the file behind @fd, as far as this one may look; 0: not found. Reads /proc. */
int backend_lock_holder(int fd);

#endif
