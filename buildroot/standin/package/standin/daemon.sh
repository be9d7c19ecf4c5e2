#!/bin/sh
while sleep 3600; do :; done
