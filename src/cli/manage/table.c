// SPDX-License-Identifier: Apache-2.0
/* What people see: tables with columns as wide as their cells, and one thing as lines. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "../disk.h"
#include "lib/check.h"
#include "manage.h"

#define CELL_BYTES 512
#define COLUMNS_MAX 16

static void duration_text(uint64_t s, char *text, size_t size)
{
	if (s >= 86400) {
		snprintf(text, size, "%" PRIu64 "d %02u:%02u:%02u", s / 86400,
			 (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	} else {
		snprintf(text, size, "%02u:%02u:%02u", (unsigned)(s / 3600),
			 (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	}
}

/* RFC 3339 in UTC, as the time of day here. */
static void time_text(const char *utc, char *text, size_t size)
{
	struct tm tm = {0}, local;
	const char *end = strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t t = end == NULL ? -1 : timegm(&tm);

	if (t == -1 || localtime_r(&t, &local) == NULL ||
	    strftime(text, size, "%Y-%m-%d %H:%M:%S", &local) == 0) {
		snprintf(text, size, "%s", utc);
	}
}

static void list_text(const json_t *list, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < json_array_size(list) && used + 2 < size; i++) {
		used += (size_t)snprintf(text + used, size - used, "%s", i == 0 ? "" : ", ");
		json_show(json_array_get(list, i), "-", text + used, size - used);
		used += strlen(text + used);
	}
}

static void plain_text(json_t *v, char *text, size_t size)
{
	if (json_is_boolean(v)) {
		snprintf(text, size, "%s", json_is_true(v) ? "yes" : "no");
	} else if (json_is_array(v)) {
		list_text(v, text, size);
	} else {
		json_show(v, "-", text, size);
	}
}

void table_cell(json_t *row, const struct manage_column *column, char *text, size_t size)
{
	json_t *v = member_get(row, column->member);
	char bytes[32], when[64];

	if (column->cell != NULL) {
		column->cell(row, text, size);
		return;
	}
	if (v == NULL) {
		snprintf(text, size, "-");
		return;
	}
	switch (column->kind) {
	case COLUMN_TEXT:
		plain_text(v, text, size);
		break;
	case COLUMN_BYTES:
		snprintf(text, size, "%s", disk_size_text((uint64_t)json_integer_value(v), bytes));
		break;
	case COLUMN_SECONDS:
		duration_text((uint64_t)json_integer_value(v), text, size);
		break;
	case COLUMN_TIME:
		time_text(json_show(v, "-", when, sizeof(when)), text, size);
		break;
	case COLUMN_PERCENT:
		snprintf(text, size, "%d %%", (int)(json_number_value(v) + 0.5));
		break;
	}
	/* Names are free text: a line stays a line, and a terminal is not talked to. */
	for (char *at = text; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f) {
			*at = '?';
		}
	}
}

/* Cells on the screen; bytes when the text is not in the locale's encoding. */
static int width_of(const char *text)
{
	wchar_t wide[CELL_BYTES];
	size_t n = mbstowcs(wide, text, CELL_BYTES - 1);

	if (n == (size_t)-1) {
		return (int)strlen(text);
	}
	int columns = wcswidth(wide, n);

	return columns < 0 ? (int)strlen(text) : columns;
}

static void print_padded(const char *text, int width, bool last)
{
	fputs(text, stdout);
	if (!last) {
		printf("%*s", width - width_of(text) + 2, "");
	}
}

void table_print(json_t *rows, const struct manage_column *columns)
{
	size_t count = rows == NULL ? 0 : json_array_size(rows), n = 0;
	char text[CELL_BYTES];
	int widths[COLUMNS_MAX];

	for (; columns[n].title != NULL; n++) {
		CHECK(n < COLUMNS_MAX);
		widths[n] = width_of(columns[n].title);
		for (size_t i = 0; i < count; i++) {
			table_cell(json_array_get(rows, i), &columns[n], text, sizeof(text));
			int width = width_of(text);

			widths[n] = width > widths[n] ? width : widths[n];
		}
	}
	for (size_t k = 0; k < n; k++) {
		print_padded(columns[k].title, widths[k], k + 1 == n);
	}
	putchar('\n');
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < n; k++) {
			table_cell(json_array_get(rows, i), &columns[k], text, sizeof(text));
			print_padded(text, widths[k], k + 1 == n);
		}
		putchar('\n');
	}
}

void table_show(json_t *o, const struct manage_column *columns)
{
	char text[CELL_BYTES];
	int width = 0;

	for (const struct manage_column *c = columns; c->title != NULL; c++) {
		int w = width_of(c->title);

		width = w > width ? w : width;
	}
	for (; columns->title != NULL; columns++) {
		table_cell(o, columns, text, sizeof(text));
		print_padded(columns->title, width, false);
		puts(text);
	}
}
