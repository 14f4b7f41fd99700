#include "core/reloader.h"

#include <chrono>
#include <utility>

namespace clusterd {
namespace {

constexpr auto kBetweenLooks = std::chrono::seconds(1);

}  // namespace

Reloader::Reloader(const Clock& clock, std::vector<Reloadable> items)
    : clock_(clock),
      watched_(watch(std::move(items))),
      next_look_(clock.now().boot),
      loop_("reload", clock, [this] { return turn(); }) {
  loop_.post([] {});  // the first turn
}

std::vector<Reloader::Watched> Reloader::watch(std::vector<Reloadable> items) {
  std::vector<Watched> watched;
  for (Reloadable& item : items) {
    FileWatch files(item.files);
    watched.push_back({.item = std::move(item), .watch = std::move(files)});
  }
  return watched;
}

void Reloader::reload_now() {
  loop_.post([this] {
    for (Watched& watched : watched_) {
      watched.watch.settle();  // before the files are read: what changes later is seen
      watched.item.reload();
    }
  });
}

std::optional<BootTime> Reloader::turn() {
  const Now now = clock_.now();
  if (now.boot < next_look_) return next_look_;
  next_look_ = now.boot + kBetweenLooks;
  for (Watched& watched : watched_) {
    if (watched.watch.look()) watched.item.reload();
    if (watched.item.look) watched.item.look(now.wall);
  }
  return next_look_;
}

}  // namespace clusterd
