/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside src/vhd: a format is a table of operations on one open file (a layer). A chain of layers, top first, makes a disk: disk.c
 * opens it, answers vhd.h, and links layers through layer->parent. A layer's block device reads what it does not have from
 * parent->block (beyond its end: zeros).
 *
 * Files: disk.c open, chain, info, map; create.c; locator.c paths of parents; vhd_*.c the VHD format; vhdx_*.c VHDX; raw.c; job_*.c
 * long operations; check_*.c check and repair.
 */
#ifndef VHD_FORMAT_H
#define VHD_FORMAT_H

#include <string.h>

#include "vhd/vhd.h"

struct vhd_layer;

/* How one file describes its parent; strings are UTF-8, separators as recorded. Empty: not recorded. */
struct vhd_locator {
	struct guid linkage;  /* what the parent's linkage must be */
	struct guid linkage2; /* VHDX: or this; zero: none */
	char relative[4096];
	char absolute[4096];
	char volume[4096]; /* VHDX volume_path */
	char name[1024];   /* VHD unicode name */
};

struct vhd_local_extent {
	enum {
		VHD_LOCAL_PARENT,
		VHD_LOCAL_ZERO,
		VHD_LOCAL_DATA
	} kind; /* PARENT without a parent: zeros */
	uint64_t bytes;
	uint64_t file_offset; /* VHD_LOCAL_DATA */
};

struct vhd_format_ops {
	const char *name;

	/* ---- Files; these wait ---- */
	/* 1: it is of this format (perhaps damaged), 0: not, -errno. */
	int (*probe)(struct storage_file *f);
	/* Takes over @f, also on failure. @flags VHD_OPEN_*. layer->parent is NULL; the caller sets it before any I/O. */
	int (*open)(const struct vhd_host *host, struct storage_file *f, uint32_t flags,
		    struct vhd_layer **ret, struct vhd_error *error);
	/*
	 * Writes a new, empty, durable disk into the empty file @f (still the caller's). @create is complete: no defaults, valid for the
	 * format. @locator: of a differencing disk.
	 */
	int (*create)(const struct vhd_host *host, struct storage_file *f,
		      const struct vhd_create *create, const struct vhd_locator *locator,
		      struct vhd_error *error);

	/* ---- An open layer; these wait, and tolerate requests in flight ---- */
	/* All but path, parent_path, file_bytes and usage, as far as it is not 0. Quick. See vhd_layer_info. */
	void (*info)(struct vhd_layer *l, struct vhd_info *info);
	/* allocated_bytes, minimum_bytes: looks at all of the tables, or of the file's extents. */
	void (*usage)(struct vhd_layer *l, struct vhd_info *info);
	int (*locator)(struct vhd_layer *l, struct vhd_locator *ret, struct vhd_error *error);
	int (*set_locator)(struct vhd_layer *l, const struct vhd_locator *locator,
			   struct vhd_error *error);
	/* What this file has at @offset. */
	int (*map)(struct vhd_layer *l, uint64_t offset, struct vhd_local_extent *ret,
		   struct vhd_error *error);
	/* Sets the size; the part that goes away holds no data (checked by the caller). Atomic under power cuts. */
	int (*resize)(struct vhd_layer *l, uint64_t bytes, struct vhd_error *error);
	/* One step of compaction: 1 more, 0 done. *ret_done and total in bytes of file. NULL: the format has nothing to compact. */
	int (*compact_step)(struct vhd_layer *l, struct vhd_progress *ret_progress,
			    struct vhd_error *error);
	/*
	 * The caller is about to change data under existing children (merge), which already name @linkage as a second allowed identity:
	 * makes it the disk's linkage, durably; the first write of this open then does not choose another one. VHD: nothing, its
	 * unique id stays.
	 */
	int (*new_linkage)(struct vhd_layer *l, const struct guid *linkage,
			   struct vhd_error *error);
	/* From here on the linkage stays what it is until the layer is closed, whatever is written. NULL: it always does. */
	int (*settle_linkage)(struct vhd_layer *l, struct vhd_error *error);
	/*
	 * Nothing is written to the file any more, once this returns: everything is durable and in its place, the file clean, the layer as
	 * one that was opened for reading. Requests may be in flight but for writes.
	 */
	int (*freeze)(struct vhd_layer *l, struct vhd_error *error);
	/* As vhd_close, for this file alone; frees @l. */
	int (*close)(struct vhd_layer *l);
};

struct vhd_layer {
	const struct vhd_format_ops *ops;
	struct block_device block; /* this layer on top of its parents */
	struct storage_file *file;
	struct vhd_layer *parent; /* NULL: none (missing parts are zeros), or not opened */
	bool parent_absent; /* has one, opened with VHD_OPEN_NO_PARENT: reading missing parts is -ENODATA */
	const struct vhd_host *host; /* kept: must outlive the layer */
	struct vhd_disk *disk;	     /* set by disk.c after open */
	struct vhd_watch *watch;     /* NULL: nobody watches what is written */
};

/*
 * Instead of its parent's identity, in a file whose contents were merged into the parent by a merge of the disk in use: the parent has
 * been written since, and is the disk.
 */
#define VHD_MERGED_LINKAGE                                                                         \
	GUID(0x4d455247, 0x4544, 0x4157, 0x41, 0x59, 0x20, 0x56, 0x49, 0x52, 0x49, 0x44)

/* ops->freeze, and the file is for reading only as far as the host can say so. */
int vhd_freeze_disk(struct vhd_disk *d, struct vhd_error *error);
/* What ops->info tells, and zeros. */
void vhd_layer_info(struct vhd_layer *l, struct vhd_info *ret);
/* The destroy of every layer's block device: vhd_close of the disk whose top it is. */
void vhd_layer_destroy(struct block_device *b);

extern const struct vhd_format_ops vhd_format_vhd;
extern const struct vhd_format_ops vhd_format_vhdx;
extern const struct vhd_format_ops vhd_format_raw;

struct vhd_disk {
	struct vhd_host host;
	struct vhd_layer *layer; /* this file */
	struct vhd_disk *parent; /* owned */
	char *path;
	char *parent_path;
};

/*
 * New files are made under another name and get theirs when they are complete: a process that dies leaves nothing half-made under
 * the name that was asked for.
 */
/* "PATH.part-XXXXXXXX", malloced; NULL: no memory. */
char *vhd_part_name(const struct vhd_host *host, const char *path);
/* -EEXIST with a message when there is a file @path. */
int vhd_refuse_existing(const struct vhd_host *host, const char *path, struct vhd_error *error);
/* Makes the file @part, of which messages speak as @path. As vhd_create otherwise. */
int vhd_create_part(const struct vhd_host *host, const char *path, const char *part,
		    const struct vhd_create *create, struct vhd_error *error);
/*
 * Writes a differencing child of the open disk @parent into the empty file @f (still the caller's), which has the name @path. The
 * format follows the parent's: a VHDX on a VHDX, else a VHD. Durable but for its name.
 */
int vhd_fill_child(const struct vhd_host *host, const char *path, struct storage_file *f,
		   struct vhd_disk *parent, struct vhd_error *error);
/* Gives @part its name. */
int vhd_publish(const struct vhd_host *host, const char *part, const char *path,
		struct vhd_error *error);

/* Of any alignment and length but 0. */
static inline bool vhd_is_zero(const uint8_t *p, size_t bytes)
{
	return p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0;
}

/* Fills @error (may be NULL) and returns @status, so that failing reads: return vhd_fail(error, VHD_CORRUPT, "...", ...). */
__attribute__((format(printf, 3, 4))) int vhd_fail(struct vhd_error *error, int status,
						   const char *fmt, ...);
/* The same with the text of -@err: "FILE: what: strerror". Returns @err. */
int vhd_fail_errno(struct vhd_error *error, int err, const char *file, const char *what);

#endif
