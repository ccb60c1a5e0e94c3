/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that only some commands need are loaded when they are first called. They bring others with them, and starting a machine without the
 * service needs none: they would be most of the time that `virid run` takes to begin, and of the memory that it keeps.
 */
#ifndef LATE_H
#define LATE_H

#include <stdint.h>

struct late_library {
	const char *names[2]; /* file names, the first that is there is taken; NULL: no second */
	const char *what_for; /* for people */
	void *loaded;
};

/*
 * A struct late_library @variable with the file names that follow, and a note in the program for whoever makes packages: the linker does not tell of such a
 * library. @priority: "required" or "recommended". Spec: UAPI Group, "ELF dlopen metadata"; read by Debian's dh_dlopenlibdeps and rpm.
 */
#define LATE_LIBRARY(variable, feature, purpose, priority, ...)                                    \
	struct late_library variable = {.names = {__VA_ARGS__}, .what_for = purpose};              \
	LATE_NOTE(variable##_note,                                                                 \
		  "[{\"feature\":\"" feature "\",\"description\":\"" purpose                       \
		  "\",\"priority\":\"" priority "\",\"soname\":[" #__VA_ARGS__ "]}]")

#define LATE_NOTE_TYPE 0x407C0C0Au
#define LATE_NOTE(variable, json)                                                                  \
	static const struct {                                                                      \
		uint32_t name_bytes, json_bytes, type;                                             \
		char name[4];                                                                      \
		char json_[sizeof(json)];                                                          \
	} variable __attribute__((used, section(".note.dlopen"), aligned(4))) = {                  \
		sizeof("FDO"), sizeof(json), LATE_NOTE_TYPE, "FDO", json}

/* The address of @function. Ends the program with a message when there is no such library or function. One thread. */
void *late_function(struct late_library *library, const char *function);

/* The same with the function's type, for a function that a header of the library declares. */
#define LATE(library, name) ((__typeof__(&(name)))late_function(library, #name))

#endif
