/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File names that hold from anywhere. */
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *path_absolute(const char *path)
{
    char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *absolute = NULL;

    if (path[0] == '/') {
        return strdup(path);
    }
    if (cwd && asprintf(&absolute, "%s/%s", cwd, path) < 0) {
        absolute = NULL;
    }
    free(cwd);
    return absolute;
}
