#!/usr/bin/env ruby
# What takes the space in a folder, largest first:  nightly_report.rb FOLDER [HOW-MANY]
require "find"

abort "usage: nightly_report.rb FOLDER [HOW-MANY]" unless [1, 2].include?(ARGV.length)
folder, how_many = ARGV[0], Integer(ARGV[1] || 10)
abort "no folder: #{folder}" unless File.directory?(folder)

sizes = Find.find(folder).select { |path| File.file?(path) }.to_h { |path| [path, File.size(path)] }
puts "#{folder}: #{sizes.length} files, #{sizes.values.sum} bytes"
sizes.sort_by { |path, size| [-size, path] }.first(how_many).each do |path, size|
  puts format("%12d  %s", size, path.delete_prefix("#{folder}/"))
end
