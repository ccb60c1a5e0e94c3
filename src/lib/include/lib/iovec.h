/* SPDX-License-Identifier: Apache-2.0 */
/* A piece of memory. */
#ifndef LIB_IOVEC_H
#define LIB_IOVEC_H

#include <stddef.h>

/* Same layout as struct iovec. Memory may be a guest's: contents change under the reader, but stay mapped while in use. */
struct io_vec {
	void *base;
	size_t bytes;
};

#endif
