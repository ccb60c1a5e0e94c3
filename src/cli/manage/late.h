/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that only some commands need are loaded when they are first called. They bring others with them, and starting a machine without the
 * service needs none: they would be most of the time that `virid run` takes to begin, and of the memory that it keeps.
 */
#ifndef LATE_H
#define LATE_H

struct late_library {
	const char *names[2]; /* file names, the first that is there is taken; NULL: no second */
	const char *what_for; /* for people */
	void *loaded;
};

/* The address of @function. Ends the program with a message when there is no such library or function. One thread. */
void *late_function(struct late_library *library, const char *function);

/* The same with the function's type, for a function that a header of the library declares. */
#define LATE(library, name) ((__typeof__(&(name)))late_function(library, #name))

#endif
