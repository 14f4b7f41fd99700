#pragma once

namespace clusterd {

// Gives back the pages of the program's code and constants that only its start has needed: the
// libraries of the other modes initialise themselves in every process, the launcher uses nothing of
// them, and two thirds of its resident memory would be theirs for as long as it runs. What is used
// again comes back from the file. Best effort. Once, at the end of the start.
void drop_startup_pages();

}  // namespace clusterd
