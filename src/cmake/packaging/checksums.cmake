# SHA256SUMS of the packages in `folder`, as `sha256sum --check` reads it.
file(GLOB packages RELATIVE ${folder} ${folder}/*.deb ${folder}/*.tar.gz)
set(sums "")
foreach(package IN LISTS packages)
  file(SHA256 ${folder}/${package} sum)
  string(APPEND sums "${sum}  ${package}\n")
endforeach()
file(WRITE ${folder}/SHA256SUMS "${sums}")
message(STATUS "${folder}/SHA256SUMS")
