#!/bin/sh
# A program as a task: gradient descent on (x - 3)^2 from a start that the seed decides. Usage: train.sh LR SEED
echo "learning rate $1, seed $2" >&2
awk -v lr="$1" -v seed="$2" 'BEGIN {
  srand(seed + 1); x = rand()
  for (step = 1; step <= 5; step++) {
    x -= lr * 2 * (x - 3)
    printf "{\"step\": %d, \"validation/error\": %.6f}\n", step, (x - 3) ^ 2
  }
  printf "{\"test/error\": %.6f}\n", (x - 3) ^ 2 + rand() / 100
}'
