/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMMS_API_ERROR_H
#define VMMS_API_ERROR_H

#include <jansson.h>

#include "call.h"

/* "wrong-state", and its HTTP status. */
const char *api_error_code(enum api_error error);
unsigned api_error_status(enum api_error error);
/* What a failed system call means to a client: no space, or that the host failed. */
enum api_error api_error_of_errno(int error);
/* {"code", "message"}; a name in @message may hold any bytes. */
json_t *api_error_json(const char *code, const char *message);

#endif
