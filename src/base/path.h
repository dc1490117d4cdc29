/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File names. */
#ifndef HDL_BASE_PATH_H
#define HDL_BASE_PATH_H

/*
 * A copy of the path that names the same file after the process has left its directory, as a daemon does. The caller's
 * to free; NULL when out of memory, or when the directory has no name.
 */
char *path_absolute(const char *path);

#endif
