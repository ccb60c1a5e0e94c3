/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside src/vhd: check and repair. Each format is walked here by itself, structure by structure, sharing with the code that runs disks only
 * the layouts: two readings of the specification that must agree. A walk goes on after a finding wherever what follows can still be
 * made sense of.
 */
#ifndef VHD_CHECK_H
#define VHD_CHECK_H

#include "format.h"

struct vhd_checker {
	const struct vhd_host *host;
	const char *path;
	const struct vhd_check *check;
	struct vhd_check_result *result;
	struct vhd_error *error;
	struct storage_file *file; /* writable when check->repair */
	uint64_t file_bytes;
};

enum vhd_repair {
	VHD_NOT_REPAIRABLE, /* it would be a guess */
	VHD_REPAIRABLE,
	VHD_REPAIRED,
};

/* Tells one finding. What is repaired counts as such, not as error or warning. @fmt: structure, found, expected, what repair does. */
__attribute__((format(printf, 5, 6))) void vhd_finding(struct vhd_checker *c,
						       enum vhd_finding_kind kind,
						       uint64_t file_offset, enum vhd_repair repair,
						       const char *fmt, ...);

/*
 * Findings of one sort, of which a damaged table may give millions: the first few are told, the rest counted. Declared
 * {.kind, .what}; vhd_flood_end tells how many more there were.
 */
struct vhd_flood {
	enum vhd_finding_kind kind;
	const char *what;
	uint64_t count;
	uint64_t last_offset;
};
#define VHD_FLOOD_TOLD 8
/* True: tell this one. False: it is counted. */
bool vhd_flood_add(struct vhd_checker *c, struct vhd_flood *f, uint64_t file_offset);
void vhd_flood_end(struct vhd_checker *c, const struct vhd_flood *f);

/* Reads and writes of the file; 0 or -errno with the text. */
int vhd_check_read(struct vhd_checker *c, uint64_t offset, void *buf, size_t bytes);
int vhd_check_write(struct vhd_checker *c, uint64_t offset, const void *buf, size_t bytes,
		    const char *what);

/* The walks. 0: everything there was to say was told; else the host's error. */
int vhd_check_vhd(struct vhd_checker *c);
int vhd_check_vhdx(struct vhd_checker *c);
/* The file claims to be of the format: enough of it is there to say that it is damaged rather than something else. 1, 0, -errno. */
int vhd_check_is_vhd(struct vhd_checker *c);
int vhd_check_is_vhdx(struct vhd_checker *c);

#endif
