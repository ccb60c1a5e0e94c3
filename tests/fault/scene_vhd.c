// SPDX-License-Identifier: Apache-2.0
#include "scene.h"

void scene_create(struct scene *s, const char *path, enum vhd_format format, const char *parent)
{
	struct vhd_create create = s->scenario->create;
	struct vhd_error error = {""};

	create.format = format;
	create.parent = parent;
	if (vhd_create(&s->lab.host, path, &create, &error) != 0) {
		scene_fail(s, path, error.text);
	}
}
