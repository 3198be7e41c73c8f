// An init stage that does as it is told: the program of the tests, executed under the name of the init stage, plays the
// script that it finds in its payload behind the word `SCRIPT`. One letter a step:
//
//   F         starts a child of its parent, which holds the channel and waits for its end
//   A         announces the child
//   B         announces the child with a descriptor of another process
//   P         announces its own parent
//   S n text  sends the n bytes that follow
//   W         waits for the end of the channel
//   X         exits with 3
#ifndef INIT_SUPPORT_H
#define INIT_SUPPORT_H

#define INIT_SCRIPT_WORD "SCRIPT"

#endif
