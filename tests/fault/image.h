/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contents of a file in memory. Copies share their pages until one of them changes, so that thousands of images that differ in a few
 * sectors are cheap. Out of memory ends the program.
 */
#ifndef FAULT_IMAGE_H
#define FAULT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

struct image *image_create(void);
struct image *image_copy(struct image *i);
void image_destroy(struct image *i);
uint64_t image_bytes(const struct image *i);
/* What is cut off is zero when it comes back. */
void image_resize(struct image *i, uint64_t bytes);
/* Zeros beyond the end. */
void image_read(const struct image *i, uint64_t offset, void *buf, uint64_t bytes);
/* These two extend the image. */
void image_write(struct image *i, uint64_t offset, const void *buf, uint64_t bytes);
void image_zero(struct image *i, uint64_t offset, uint64_t bytes);
/* From @offset to where data and holes meet, or the end. @offset lies within. */
bool image_is_hole(const struct image *i, uint64_t offset, uint64_t *ret_bytes);
/* Writes it to a file for a closer look. */
bool image_save(const struct image *i, const char *path);

#endif
