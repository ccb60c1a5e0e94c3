// SPDX-License-Identifier: Apache-2.0
/* What a differencing VHD records about its parent: reading, writing, changing it whole under power cuts. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/text.h"
#include "lib/utf16.h"
#include "vhd_image.h"

#define LOCATOR_SPACE_MIN 4096u /* so that other paths fit later */
#define HOME_OFFSET 512u

/* ---- Reading ---- */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c == 0 ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* "file:///a%20b" or, from blktap, "file://./b" as a path. */
static void decode_url(const uint8_t *text, uint32_t bytes, struct vhd_locator *ret)
{
	static const char scheme[] = "file://";
	char path[VHD_LOCATOR_TEXT_MAX + 1];
	size_t n = 0, at = sizeof(scheme) - 1;

	if (bytes < at || memcmp(text, scheme, at) != 0) {
		return;
	}
	for (; at < bytes && text[at] != 0; at++) {
		int high = at + 2 < bytes && text[at] == '%' ? hex_digit((char)text[at + 1]) : -1;
		int low = high < 0 ? -1 : hex_digit((char)text[at + 2]);

		path[n++] = (char)(low < 0 ? text[at] : high << 4 | low);
		at += low < 0 ? 0 : 2;
	}
	path[n] = '\0';
	/* Only what is said nowhere else. */
	if (path[0] == '/' && ret->absolute[0] == '\0') {
		text_copy(ret->absolute, sizeof(ret->absolute), path);
	} else if (path[0] == '.' && ret->relative[0] == '\0') {
		text_copy(ret->relative, sizeof(ret->relative), path);
	}
}

static void decode_text(const struct vhd_locator_entry *e, const uint8_t *text,
			struct vhd_locator *ret)
{
	switch (e->code) {
	case VHD_LOCATOR_W2RU:
		(void)utf16_decode_padded(text, e->bytes, UTF16_LE, ret->relative,
					  sizeof(ret->relative));
		break;
	case VHD_LOCATOR_W2KU:
		(void)utf16_decode_padded(text, e->bytes, UTF16_LE, ret->absolute,
					  sizeof(ret->absolute));
		break;
	case VHD_LOCATOR_MACX:
		decode_url(text, e->bytes, ret);
		break;
	default:
		break;
	}
}

int vhd_vhd_locator(struct vhd_layer *l, struct vhd_locator *ret, struct vhd_error *error)
{
	struct vhd_image *v = vhd_image_of(l);
	uint8_t text[VHD_LOCATOR_TEXT_MAX];

	if (!v->differencing) {
		return vhd_fail(error, VHD_NOT_POSSIBLE,
				"%s: only a differencing disk has a parent", l->file->name);
	}
	memset(ret, 0, sizeof(*ret));
	ret->linkage = v->header.parent_id;
	(void)utf16_decode_padded(v->header.parent_name, VHD_PARENT_NAME_BYTES, UTF16_BE, ret->name,
				  sizeof(ret->name));
	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator_entry *e = &v->header.locators[i];
		int err;

		/* A locator that cannot be is as good as none: another may do. */
		if (e->code == 0 || e->bytes == 0 || e->bytes > sizeof(text) ||
		    !range_within(e->offset, e->bytes, INT64_MAX)) {
			continue;
		}
		err = storage_file_read(l->file, e->offset, text, e->bytes);
		if (err != 0) {
			return vhd_fail_errno(error, err, l->file->name,
					      "cannot read a parent locator");
		}
		decode_text(e, text, ret);
	}
	return 0;
}

/* ---- Encoding ---- */

static bool encode_text(const char *path, uint32_t code, unsigned which,
			struct vhd_locator_texts *ret)
{
	struct vhd_locator_entry *e = &ret->entry[which];
	size_t bytes;

	if (path[0] == '\0') {
		return true;
	}
	if (!utf16_encode(path, UTF16_LE, ret->text[which], VHD_LOCATOR_TEXT_MAX, &bytes) ||
	    bytes > VHD_LOCATOR_TEXT_MAX) {
		return false;
	}
	e->code = code;
	e->bytes = (uint32_t)bytes;
	e->space = (uint32_t)align_up(max_u64(bytes, LOCATOR_SPACE_MIN), VHD_SECTOR_BYTES);
	return true;
}

/* Interop: Windows takes a relative path only if it begins with ".\". */
static bool encode_relative(const char *path, struct vhd_locator_texts *ret)
{
	char dotted[sizeof(((struct vhd_locator *)0)->relative) + 2];
	bool dot = path[0] == '\0' || strncmp(path, ".\\", 2) == 0;

	snprintf(dotted, sizeof(dotted), "%s%s", dot ? "" : ".\\", path);
	return encode_text(dotted, VHD_LOCATOR_W2RU, 0, ret);
}

int vhd_locator_encode(const struct vhd_host *host, const char *file, const struct vhd_locator *l,
		       struct vhd_header *header, struct vhd_locator_texts *ret,
		       struct vhd_error *error)
{
	size_t bytes;

	memset(ret, 0, sizeof(*ret));
	memset(header->locators, 0, sizeof(header->locators));
	memset(header->parent_name, 0, sizeof(header->parent_name));
	if (!encode_relative(l->relative, ret) ||
	    !encode_text(l->absolute, VHD_LOCATOR_W2KU, 1, ret) ||
	    !utf16_encode(l->name, UTF16_BE, header->parent_name, VHD_PARENT_NAME_BYTES, &bytes) ||
	    bytes > VHD_PARENT_NAME_BYTES) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: the parent's path \"%.200s\" is too long or not UTF-8; it "
				"cannot be recorded",
				file, l->relative);
	}
	header->parent_id = l->linkage;
	header->parent_timestamp = vhd_timestamp(host);
	return 0;
}

uint64_t vhd_locator_lay_out(const struct vhd_locator_texts *t, uint64_t offset,
			     struct vhd_header *header)
{
	for (unsigned i = 0; i < VHD_LOCATOR_TEXTS; i++) {
		header->locators[i] = t->entry[i];
		if (t->entry[i].code != 0) {
			header->locators[i].offset = offset;
			offset += t->entry[i].space;
		}
	}
	return offset;
}

int vhd_locator_write(struct storage_file *f, const struct vhd_locator_texts *t,
		      const struct vhd_header *header)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < VHD_LOCATOR_TEXTS; i++) {
		const struct vhd_locator_entry *e = &header->locators[i];

		if (e->code != 0) {
			err = storage_file_write(f, e->offset, t->text[i], e->bytes);
			err = err == 0 ? storage_file_zero(f, e->offset + e->bytes,
							   e->space - e->bytes, false)
				       : err;
		}
	}
	return err;
}

/* ---- Changing ----
 *
 * The header is two sectors and cannot be replaced whole where it lies. So a second one, with its own texts, is made at the end of the
 * file; the footers are pointed there one by one; then the header at home is rewritten, which nobody looks at now; and the footers are pointed
 * back. Whichever footer is found, and wherever a cut falls, it names a whole header.
 */
struct relink {
	struct vhd_image *v;
	struct vhd_locator_texts texts;
	struct vhd_header away, home;
	struct vhd_footer away_footer, home_footer;
	uint64_t kept_end;  /* of what stays: the new tail */
	uint64_t away_tail; /* of the footer behind the second header */
	uint64_t lowest_block;
};

static int find_lowest(void *ctx, uint64_t block, uint32_t entry)
{
	struct relink *k = ctx;

	(void)block;
	k->lowest_block = min_u64(k->lowest_block, (uint64_t)entry * VHD_SECTOR_BYTES);
	return 0;
}

/* The space of the locator with @code that the header had, if it lies where nothing else can. */
static bool old_space(const struct relink *k, uint32_t code, struct vhd_locator_entry *ret)
{
	const struct vhd_header *h = &k->v->header;

	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		uint64_t space = vhd_locator_space(h->locators[i].space);

		if (h->locators[i].code == code && h->locators[i].offset >= k->v->first_block &&
		    range_within(h->locators[i].offset, space, k->lowest_block)) {
			*ret = h->locators[i];
			ret->space = (uint32_t)space;
			return true;
		}
	}
	return false;
}

/* Puts the texts where those before them were, if there is room. False: there is not, nothing was done. */
static bool reuse_spaces(struct relink *k)
{
	struct vhd_locator_entry found[VHD_LOCATOR_TEXTS] = {0};

	for (unsigned i = 0; i < VHD_LOCATOR_TEXTS; i++) {
		const struct vhd_locator_entry *want = &k->texts.entry[i];

		if (want->code != 0 &&
		    (!old_space(k, want->code, &found[i]) || found[i].space < want->bytes)) {
			return false;
		}
	}
	if (found[0].code != 0 && found[1].code != 0 &&
	    found[0].offset < found[1].offset + found[1].space &&
	    found[1].offset < found[0].offset + found[0].space) {
		return false;
	}
	for (unsigned i = 0; i < VHD_LOCATOR_TEXTS; i++) {
		k->home.locators[i] = k->texts.entry[i];
		k->home.locators[i].offset = found[i].offset;
		k->home.locators[i].space = found[i].space;
	}
	return true;
}

static void plan(struct relink *k)
{
	struct vhd_image *v = k->v;
	uint64_t home = v->footer.data_offset;
	uint64_t away;

	/* A change that was cut off may have left the header away. */
	if (home > v->header.table_offset &&
	    v->header.table_offset >= HOME_OFFSET + VHD_HEADER_BYTES) {
		home = HOME_OFFSET;
	}
	k->kept_end = v->tail;
	if (!reuse_spaces(k)) {
		k->kept_end = vhd_locator_lay_out(&k->texts, v->tail, &k->home);
	}
	away = k->kept_end;
	k->away_tail = vhd_locator_lay_out(&k->texts, away + VHD_HEADER_BYTES, &k->away);
	k->away_footer = k->home_footer = v->footer;
	k->away_footer.data_offset = away;
	k->home_footer.data_offset = home;
}

static int write_header(struct relink *k, const struct vhd_header *h, uint64_t offset)
{
	uint8_t raw[VHD_HEADER_BYTES];
	int err = vhd_locator_write(k->v->layer.file, &k->texts, h);

	vhd_header_encode(h, raw);
	return err == 0 ? storage_file_write(k->v->layer.file, offset, raw, sizeof(raw)) : err;
}

/* Makes the second header, behind everything. Nothing refers to it when this fails. */
static int write_away(struct relink *k)
{
	struct vhd_image *v = k->v;
	int err = write_header(k, &k->away, k->away_footer.data_offset);

	if (err == 0 && k->kept_end > v->tail) {
		err = vhd_locator_write(v->layer.file, &k->texts, &k->home);
	}
	/* A footer at the end counts at once: what it names must be there before. */
	err = err == 0 ? storage_file_flush(v->layer.file) : err;
	return err == 0 ? vhd_footer_write(v, &k->away_footer, k->away_tail) : err;
}

static int come_home(struct relink *k)
{
	struct vhd_image *v = k->v;
	struct storage_file *f = v->layer.file;
	int err = vhd_footer_write(v, &k->away_footer, 0);

	err = err == 0 ? write_header(k, &k->home, k->home_footer.data_offset) : err;
	err = err == 0 ? storage_file_flush(f) : err;
	err = err == 0 ? vhd_footer_write(v, &k->home_footer, 0) : err;
	err = err == 0 ? vhd_footer_write(v, &k->home_footer, k->away_tail) : err;
	err = err == 0 ? vhd_footer_write(v, &k->home_footer, k->kept_end) : err;
	err = err == 0 ? storage_file_set_size(f, k->kept_end + VHD_FOOTER_BYTES) : err;
	return err == 0 ? storage_file_flush(f) : err;
}

static int relink(struct relink *k)
{
	struct vhd_image *v = k->v;
	int err;

	plan(k);
	err = write_away(k);
	if (err != 0) {
		vhd_image_restore_end(v);
		return err;
	}
	err = come_home(k);
	if (err != 0) {
		vhd_image_fail(v, err);
		return err;
	}
	v->header = k->home;
	v->footer = k->home_footer;
	v->tail = k->kept_end;
	return 0;
}

/* With guests held back. */
static int set_locator(struct vhd_image *v, struct relink *k)
{
	int err = vhd_hold(v);

	k->lowest_block = v->tail;
	vhd_compaction_destroy(v);
	err = err == 0 ? vhd_bat_scan(v, find_lowest, k) : err;
	if (err == 0 && v->tail_excess) {
		vhd_image_restore_end(v);
		err = v->failed;
	}
	err = err == 0 ? relink(k) : err;
	vhd_release(v);
	return err;
}

int vhd_vhd_set_locator(struct vhd_layer *l, const struct vhd_locator *locator,
			struct vhd_error *error)
{
	struct vhd_image *v = vhd_image_of(l);
	struct relink *k;
	int rc;

	if (!v->differencing) {
		return vhd_fail(error, VHD_NOT_POSSIBLE,
				"%s: only a differencing disk has a parent", l->file->name);
	}
	if (l->block.info.read_only) {
		return vhd_fail_errno(error, -EROFS, l->file->name, "cannot record another parent");
	}
	k = calloc(1, sizeof(*k));
	if (k == NULL) {
		return vhd_fail_errno(error, -ENOMEM, l->file->name,
				      "cannot record another parent");
	}
	k->v = v;
	k->away = v->header;
	rc = vhd_locator_encode(l->host, l->file->name, locator, &k->away, &k->texts, error);
	if (rc == 0) {
		k->home = k->away;
		rc = set_locator(v, k);
		rc = rc == 0 ? 0
			     : vhd_fail_errno(error, rc, l->file->name,
					      "cannot record another parent");
	}
	free(k);
	return rc;
}
