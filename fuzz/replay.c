// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a fuzz target over files and folders without a fuzzer: the corpus becomes a test, and a finding can be looked at in any debugger.
 * Exit status 0 when every input went through and there was at least one.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static unsigned inputs;

static int run_file(const char *path, size_t bytes)
{
	/* an exact allocation: a read past the end is seen by sanitizers */
	uint8_t *data = malloc(bytes != 0 ? bytes : 1);
	FILE *f = fopen(path, "rb");

	if (data == NULL || f == NULL || fread(data, 1, bytes, f) != bytes) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return 1;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, bytes);
	free(data);
	inputs++;
	return 0;
}

static int run_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		fprintf(stderr, "%s: not there\n", path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode)) {
		return run_file(path, (size_t)st.st_size);
	}
	DIR *dir = opendir(path);
	struct dirent *entry;
	int rc = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char inner[4096];

		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && stat(inner, &st) == 0 && S_ISREG(st.st_mode)) {
			rc |= run_file(inner, (size_t)st.st_size);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	return rc;
}

int main(int argc, char **argv)
{
	int rc = 0;

	for (int i = 1; i < argc; i++) {
		rc |= run_path(argv[i]);
	}
	printf("%u inputs replayed\n", inputs);
	return rc != 0 || inputs == 0;
}
