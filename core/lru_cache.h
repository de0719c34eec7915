#pragma once
// Private: a bounded map that forgets what was used longest ago.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <utility>

namespace sinter {

/// Keys to values with a cost each (bytes, say); the sum of costs stays within `capacity`, except that the newest
/// entry is always kept. Not thread-safe.
template <class Key, class Value>
class LruCache {
 public:
  explicit LruCache(int64_t capacity) : capacity_(capacity) {}

  /// The value, now the most recently used; nullptr when there is none. Valid until the next insert.
  Value* find(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->value;
  }

  Value& insert(const Key& key, Value value, int64_t cost) {
    erase(key);
    entries_.push_front({key, std::move(value), cost});
    index_[key] = entries_.begin();
    total_ += cost;
    shrink();
    return entries_.front().value;
  }

  void erase(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    total_ -= found->second->cost;
    entries_.erase(found->second);
    index_.erase(found);
  }

  /// Drops the entries whose value f is true of.
  template <class F>
  void erase_if(const F& f) {
    for (auto it = entries_.begin(); it != entries_.end();) {
      const auto entry = it++;
      if (f(entry->value)) erase(Key(entry->key));
    }
  }

  /// Returns the capacity before.
  int64_t set_capacity(int64_t capacity) {
    std::swap(capacity_, capacity);
    shrink();
    return capacity;
  }

  int64_t total_cost() const { return total_; }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Key key;
    Value value;
    int64_t cost;
  };
  void shrink() {
    while (total_ > capacity_ && entries_.size() > 1) erase(Key(entries_.back().key));
  }

  int64_t capacity_;
  int64_t total_ = 0;
  std::list<Entry> entries_;
  std::map<Key, typename std::list<Entry>::iterator> index_;
};

}  // namespace sinter
