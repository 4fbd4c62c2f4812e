#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/net/address.h"

// Purpose  addresses of hostnames, as the host itself resolves them; for endpoints of which the
//          control plane knows only a hostname.
// Threads  any.
namespace ambit::names {

using Addresses = std::vector<net::IpAddress>;

class HostResolver {
 public:
  // Runs once, on a thread of the resolver or inside Ask. Never an empty list. Must be short and
  // must not call the resolver.
  // Errors  kUnavailable: no such name, no address, no answer.
  using Done = std::function<void(Result<Addresses>)>;
  // A question under way; destroying it withdraws it: when the destructor returns, Done will not
  // run any more.
  class Question {
   public:
    virtual ~Question() = default;
  };

  virtual ~HostResolver() = default;
  virtual std::unique_ptr<Question> Ask(const std::string& hostname, Done done) = 0;
};

}  // namespace ambit::names
