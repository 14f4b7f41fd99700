#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Slots that a job takes: 0 is read as 1.
[[nodiscard]] uint32_t slots_of(const v1::Resources& wants);

// What one more, or one less, job takes of a worker.
void add_to(v1::Resources& used, const v1::Resources& wants);
void take_from(v1::Resources& used, const v1::Resources& wants);

// Units of counted resources that are in use, by name.
using UnitsInUse = std::map<std::string, std::set<uint32_t>>;

// The lowest units that are free: as many as are wanted of each resource, by name.
[[nodiscard]] google::protobuf::RepeatedPtrField<v1::AssignedUnits> free_units(
    const UnitsInUse& in_use, const v1::Resources& wants);

// One more job that wants this fits beside what is used. `jobs`: that run there.
[[nodiscard]] bool fits(const v1::Resources& has, const v1::Resources& used, size_t jobs,
                        const v1::Resources& wants);

// What is missing of `has` for one more job that wants this, in words: "needs 2 gpu, 1 of 4 are
// free"; empty: it fits.
[[nodiscard]] std::string lack_of(const v1::Resources& has, const v1::Resources& used, size_t jobs,
                                  const v1::Resources& wants);

// How many such jobs fit beside what is used, at most `limit`.
[[nodiscard]] uint32_t room_for(const v1::Resources& has, const v1::Resources& used, size_t jobs,
                                const v1::Resources& wants, uint32_t limit);

}  // namespace clusterd
