/* Lines from a person: through GNU readline when the system has it, else through stdio. Main thread only.
 * readline is loaded at the first line, so that a program that asks nobody does not pay for it. */
#ifndef TK_CLI_LINE_H
#define TK_CLI_LINE_H

/* The next line without its newline, or NULL at the end of stdin. The caller owns it (free). */
char *tk_line_read(const char *prompt);

/* Remembers a line, over runs as well when stdin is a terminal ($XDG_STATE_HOME/tasker/history). */
void tk_line_remember(const char *line);

#endif
