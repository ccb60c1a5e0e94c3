/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EMU_IO_H
#define EMU_IO_H

#define EMU_PORT_DX 0x10000u /* imm of IN and OUT: the port number is in DX */

#endif
