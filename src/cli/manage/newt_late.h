/* SPDX-License-Identifier: Apache-2.0 */
/* newt.h, with the functions that the menu calls loaded late (late.h). */
#ifndef NEWT_LATE_H
#define NEWT_LATE_H

#include <newt.h>

#include "late.h"

extern struct late_library newt_library; /* menu_parts.c */

#define newtButton LATE(&newt_library, newtButton)
#define newtCenteredWindow LATE(&newt_library, newtCenteredWindow)
#define newtCls LATE(&newt_library, newtCls)
#define newtDrawRootText LATE(&newt_library, newtDrawRootText)
#define newtEntry LATE(&newt_library, newtEntry)
#define newtFinished LATE(&newt_library, newtFinished)
#define newtForm LATE(&newt_library, newtForm)
#define newtFormAddComponents LATE(&newt_library, newtFormAddComponents)
#define newtFormAddHotKey LATE(&newt_library, newtFormAddHotKey)
#define newtFormDestroy LATE(&newt_library, newtFormDestroy)
#define newtFormRun LATE(&newt_library, newtFormRun)
#define newtInit LATE(&newt_library, newtInit)
#define newtLabel LATE(&newt_library, newtLabel)
#define newtPopWindow LATE(&newt_library, newtPopWindow)
#define newtRunForm LATE(&newt_library, newtRunForm)
#define newtTextbox LATE(&newt_library, newtTextbox)
#define newtTextboxSetText LATE(&newt_library, newtTextboxSetText)
#define newtWinEntries LATE(&newt_library, newtWinEntries)
#define newtWinMenu LATE(&newt_library, newtWinMenu)
#define newtWinTernary LATE(&newt_library, newtWinTernary)

#endif
