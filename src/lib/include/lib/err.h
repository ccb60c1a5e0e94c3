/* SPDX-License-Identifier: Apache-2.0 */
/* Host errors in code that has no C library: the values of Linux's errno, returned negative. */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#define ERR_NOENT 2
#define ERR_NOMEM 12
#define ERR_INVAL 22
#define ERR_NOTSUP 95

#endif
