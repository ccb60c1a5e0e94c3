/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what: roles.json, {"format": 1, "roles": [{"who", "role", "vm"}, ...]}.
 *
 * who: "user:NAME", "group:NAME" (of this system, by name or number), or "certificate:NAME" (a client certificate's common or alternative name);
 * a bare NAME is a user. role: "administrator", "operator" or "viewer". vm: a VM's id, or null: the host and all VMs.
 */
#ifndef VMMS_ROLES_H
#define VMMS_ROLES_H

#include <jansson.h>

#include "api.h"
#include "caller.h"

#define ROLES_MAX 4096u

struct roles;

enum role { ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMINISTRATOR };

/* What somebody has, added up from all roles that are theirs. */
struct caller_grants;

/* @path: NULL: nobody has a role, and none can be given. A file that is not there is empty. -errno, or -EINVAL; @error says why. */
int roles_create(const char *path, struct roles **ret, char *error, size_t size);
void roles_destroy(struct roles *r);
/* The same from text that has been read; @name is the file's in messages. */
bool roles_parse(struct roles *r, const char *name, const char *text, size_t bytes, char *error,
		 size_t size);

/* Makes a caller of an identity with the roles of now. */
void roles_caller(const struct roles *r, const struct identity *i, struct caller *ret);
void caller_fini(struct caller *c);
/* May @c do this with the VM @vm_id (NULL: the host, and all VMs)? */
bool caller_may(const struct caller *c, const char *vm_id, enum right right);
/* Has @c any right at all? */
bool caller_is_known(const struct caller *c);

enum roles_result { ROLES_OK, ROLES_INVALID, ROLES_NOT_FOUND, ROLES_FAILED };
/* {"roles": [...]}, a new reference. */
json_t *roles_json(const struct roles *r);
/* Gives @who (in any of the forms) a role; what they had for the same VM is replaced. Durable when ROLES_OK. *ret_role: as in roles_json. */
enum roles_result roles_put(struct roles *r, const char *who, const char *role, const char *vm_id,
			    json_t **ret_role, char *error, size_t size);
enum roles_result roles_remove(struct roles *r, const char *who, const char *vm_id, char *error,
			       size_t size);
/* The VM is gone: nobody has a role for it any longer. */
void roles_forget_vm(struct roles *r, const char *vm_id);

#endif
