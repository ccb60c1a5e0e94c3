/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_NEW_ID_H
#define VMMS_NEW_ID_H

#include "lib/guid.h"

/* A random GUID as Hyper-V writes it: upper case, without braces. */
void new_id(char ret[GUID_TEXT_BYTES]);
/* Any spelling of a GUID in that one; false: it is none. */
bool normal_id(const char *text, char ret[GUID_TEXT_BYTES]);

#endif
