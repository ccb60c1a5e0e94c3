// SPDX-License-Identifier: Apache-2.0
#include "disk_ask.h"

#include <stdlib.h>
#include <string.h>

#include "disk_paths.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "vmms.h"

#define LARGEST_BYTES (INT64_C(64) << 40)

static bool is_creatable(const char *text)
{
	enum vhd_format f;

	return vhd_format_parse(text, &f);
}

static bool is_convertible(const char *text)
{
	enum vhd_format f;

	return vhd_format_parse(text, &f) && f != VHD_VHD_DIFFERENCING &&
	       f != VHD_VHDX_DIFFERENCING;
}

#define PATH_MEMBER(member)                                                                        \
	{                                                                                          \
		.name = (member), .type = SCHEMA_TEXT, .expected = "the absolute path of a file",  \
		.max = 4095                                                                        \
	}
#define SIZES                                                                                      \
	{.name = "block_bytes",                                                                    \
	 .type = SCHEMA_WHOLE,                                                                     \
	 .optional = true,                                                                         \
	 .expected = "512 bytes to 256 MiB",                                                       \
	 .min = 512,                                                                               \
	 .max = 256 << 20},                                                                        \
		{.name = "sector_bytes",                                                           \
		 .type = SCHEMA_WHOLE,                                                             \
		 .optional = true,                                                                 \
		 .expected = "512 or 4096",                                                        \
		 .min = 512,                                                                       \
		 .max = 4096,                                                                      \
		 .step = 512},                                                                     \
	{                                                                                          \
		.name = "physical_sector_bytes", .type = SCHEMA_WHOLE, .optional = true,           \
		.expected = "512 or 4096", .min = 512, .max = 4096, .step = 512                    \
	}

const struct schema disk_ask_create[] = {
	PATH_MEMBER("path"),
	{.name = "format",
	 .type = SCHEMA_TEXT,
	 .optional = true,
	 .expected = "raw, vhd-fixed, vhd-dynamic, vhd-differencing, vhdx-fixed, vhdx-dynamic or "
		     "vhdx-differencing",
	 .max = 32,
	 .check = is_creatable},
	{.name = "bytes",
	 .type = SCHEMA_WHOLE,
	 .optional = true,
	 .expected = "the size in bytes, a multiple of 512, up to 64 TiB",
	 .min = 512,
	 .max = LARGEST_BYTES,
	 .step = 512},
	{.name = "parent",
	 .type = SCHEMA_TEXT,
	 .optional = true,
	 .nullable = true,
	 .expected = "the absolute path of a disk, or null",
	 .max = 4095},
	SIZES,
	{0},
};
const struct schema disk_ask_resize[] = {
	PATH_MEMBER("path"),
	{.name = "bytes",
	 .type = SCHEMA_WHOLE,
	 .expected = "the size in bytes, a multiple of 512, up to 64 TiB",
	 .min = 512,
	 .max = LARGEST_BYTES,
	 .step = 512},
	{0},
};
const struct schema disk_ask_path[] = {PATH_MEMBER("path"), {0}};
const struct schema disk_ask_convert[] = {
	PATH_MEMBER("path"),
	PATH_MEMBER("target"),
	{.name = "format",
	 .type = SCHEMA_TEXT,
	 .optional = true,
	 .expected = "raw, vhd-fixed, vhd-dynamic, vhdx-fixed or vhdx-dynamic",
	 .max = 32,
	 .check = is_convertible},
	SIZES,
	{0},
};
const struct schema disk_ask_merge[] = {
	PATH_MEMBER("path"),
	{.name = "depth",
	 .type = SCHEMA_WHOLE,
	 .optional = true,
	 .expected = "1 (the parent) to 255",
	 .min = 1,
	 .max = 255},
	{0},
};

const char *disk_ask_text(const struct call *c, const char *name)
{
	return json_string_value(json_object_get(c->body, name));
}

uint64_t disk_ask_number(const struct call *c, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(c->body, name));
}

bool disk_ask_path_allowed(struct call *c, const char *path)
{
	char error[1200];

	if (disk_path_allowed(c->vmms, c->caller, path, error, sizeof(error))) {
		return true;
	}
	call_refuse(c, API_DENIED, NULL, "%s", error);
	return false;
}

bool disk_ask_check(struct call *c, const struct schema *schema)
{
	static const char *const paths[] = {"path", "target", "parent"};
	struct schema_error error;

	if (c->body == NULL) {
		call_refuse(c, API_INVALID, NULL, "the request has no body; expected an object");
		return false;
	}
	if (!schema_check(c->body, schema, "", &error)) {
		call_refuse(c, API_INVALID, NULL, "%s", error.text);
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const char *path = disk_ask_text(c, paths[i]);

		if (path != NULL && !disk_ask_path_allowed(c, path)) {
			return false;
		}
	}
	return true;
}

static char *copy(const char *text)
{
	char *s = text == NULL ? NULL : strdup(text);

	CHECK(text == NULL || s != NULL);
	return s;
}

struct disk_work *disk_ask_work(const struct call *c, enum disk_work_kind kind)
{
	struct disk_work *w = calloc(1, sizeof(*w));

	CHECK(w != NULL);
	*w = (struct disk_work){
		.kind = kind,
		.path = copy(disk_ask_text(c, "path")),
		.target = copy(disk_ask_text(c, "target")),
		.parent = copy(disk_ask_text(c, "parent")),
		.bytes = disk_ask_number(c, "bytes"),
		.create = {.bytes = disk_ask_number(c, "bytes"),
			   .block_bytes = disk_ask_number(c, "block_bytes"),
			   .sector_bytes = (uint32_t)disk_ask_number(c, "sector_bytes"),
			   .physical_sector_bytes =
				   (uint32_t)disk_ask_number(c, "physical_sector_bytes")},
	};
	CHECK(w->path != NULL); /* every schema has it */
	return w;
}
