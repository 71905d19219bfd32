"""What can be expected for a path that was read: events, nothing, or no word because it is ignored.

Runs in the watcher's thread of the supervisor. Rule that holds: no path is said to be watched that is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum, auto

from devserver.supervisor.folders import FolderTree
from devserver.supervisor.ignore import folders_between


class Place(Enum):
    WATCHED = auto()  # a change is reported as an event
    UNWATCHED = auto()  # inside what was asked for, but no events come from there
    OUTSIDE = auto()  # not inside what was asked for
    IGNORED = auto()


def sort(tree: FolderTree, paths: Iterable[str]) -> dict[Place, set[str]]:
    """The paths, as a process named them, by what can be expected for them. Costs a few stats per folder."""
    by_place: dict[Place, set[str]] = {place: set() for place in Place}
    places: dict[str, Place] = {}
    for path in paths:
        folder = path.rpartition("/")[0] or "/"
        if path in tree.listed:
            place = Place.WATCHED if path in tree.folders or path in tree.narrow else Place.UNWATCHED
        elif path in tree.files or path in tree.links:
            place = _place_of_target(tree, path)
        else:
            if folder not in places:
                places[folder] = _place_in(tree, folder)
            place = places[folder]
            if place is Place.UNWATCHED and tree.rules.ignores_file(path):
                place = Place.IGNORED
        by_place[place].add(path)
    return by_place


def _place_of_target(tree: FolderTree, path: str) -> Place:
    target = tree.links.target(path) or path
    folder = os.path.dirname(target)
    watched = folder in tree.folders or target in tree.folders or folder in tree.narrow
    return Place.WATCHED if watched else Place.UNWATCHED


def _place_in(tree: FolderTree, folder: str) -> Place:
    """What can be expected for a file in this folder."""
    at = folder
    while at not in tree.folders and at != "/" and not os.path.isdir(at):
        at = os.path.dirname(at)  # absent: its coming is an event of the first folder that is there
    if at in tree.folders:
        return Place.WATCHED
    root = tree.roots.around(folder)
    if root is not None:
        between = list(folders_between(f"{folder}/file", root))
        if any(map(tree.rules.ignores_folder, between)) or any(map(tree.is_pruned, between)):
            return Place.IGNORED
    if os.path.realpath(at) in tree.folders:
        return Place.WATCHED
    return Place.OUTSIDE if root is None else Place.UNWATCHED
