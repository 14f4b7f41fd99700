#pragma once

namespace clusterd {

// What a worker says at its registration that it can do beyond the first version
// (WorkerIdentity.features).

inline constexpr char kDeletesOutputs[] = "delete_outputs";
inline constexpr char kKnowsLimits[] = "limits";
inline constexpr char kKnowsUploads[] = "scripts";  // scripts that come with their jobs
inline constexpr char kRunsUploads[] = "uploads";   // and runs them: `jobs.allow_uploads`
inline constexpr char kKnowsGangs[] = "gangs";      // tells a task of a gang of the others

}  // namespace clusterd
